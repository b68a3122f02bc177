/** Certificates, keys and authorities, read from files and checked before anything listens with them. */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createSecureContext, type SecureContextOptions, type SecureVersion } from 'node:tls'

/** HTTP versions that TLS connections may choose from. */
export type HttpVersion = 'http1' | 'http2'

/** How to speak TLS. */
export interface TlsOptions {
  /** Certificate chain, PEM. */
  readonly certPath: string
  /** Private key, PEM. */
  readonly keyPath: string
  /** With it every client has to show a certificate of one of these authorities, PEM. */
  readonly clientCaPath?: string
  /** 1.2 unless given. */
  readonly minVersion?: '1.2' | '1.3'
  /** 1.3 unless given. */
  readonly maxVersion?: '1.2' | '1.3'
  /** Both unless given. */
  readonly versions?: readonly HttpVersion[]
}

/** The files do not make a TLS server; the message says which and why. */
export class TlsFileError extends Error {
  override readonly name = 'TlsFileError'
}

/** Reads the files and checks that they belong together; throws `TlsFileError`. Never tells what a key contains. */
export async function readTlsFiles(options: TlsOptions): Promise<SecureContextOptions> {
  // One after the other: of several that are missing it is always the same that is named.
  const cert = await read(options.certPath, 'certificate')
  const key = await read(options.keyPath, 'private key')
  const ca =
    options.clientCaPath === undefined ? undefined : await read(options.clientCaPath, 'client authorities')
  const leaf = parsed(options.certPath, 'certificate', () => new X509Certificate(cert))
  const secret = parsed(options.keyPath, 'private key', () => createPrivateKey(key))
  if (!leaf.checkPrivateKey(secret)) {
    throw new TlsFileError(
      `The key in ${options.keyPath} is not that of the certificate in ${options.certPath}.`,
    )
  }
  if (options.clientCaPath !== undefined && ca !== undefined) {
    parsed(options.clientCaPath, 'certificate', () => new X509Certificate(ca))
  }
  const context: SecureContextOptions = {
    cert,
    key,
    ...(ca !== undefined && { ca }),
    minVersion: protocolOf(options.minVersion ?? '1.2'),
    maxVersion: protocolOf(options.maxVersion ?? '1.3'),
  }
  // Whatever else the TLS library has against them is said before the port is taken.
  parsed(options.certPath, 'certificate chain', () => createSecureContext(context))
  return context
}

function protocolOf(version: '1.2' | '1.3'): SecureVersion {
  return `TLSv${version}`
}

async function read(path: string, what: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
    throw new TlsFileError(`The ${what} ${path} cannot be read (${code}).`)
  }
}

function parsed<T>(path: string, what: string, parse: () => T): T {
  try {
    return parse()
  } catch {
    // The reason that the TLS library gives may quote what it read.
    throw new TlsFileError(`${path} holds no ${what} in PEM form.`)
  }
}
