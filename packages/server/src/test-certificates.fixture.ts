/** Certificates for tests, made anew each time: no key is kept anywhere. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generate } from 'selfsigned'

/** A key and its certificate. */
export interface Pair {
  readonly cert: string
  readonly key: string
}

/** Authority, server and clients, and where the server's files are. */
export interface TestCertificates {
  readonly folder: string
  readonly authority: Pair
  readonly server: Pair
  readonly client: Pair
  /** Signed by an authority that nobody knows. */
  readonly stranger: Pair
  readonly certPath: string
  readonly keyPath: string
  readonly clientCaPath: string
  /** Replaces the server's files by new ones of the same authority, and gives them. */
  renew(): Promise<Pair>
  remove(): Promise<void>
}

async function authorityNamed(name: string): Promise<Pair> {
  const made = await generate([{ name: 'commonName', value: name }], {
    keyType: 'ec',
    algorithm: 'sha256',
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, digitalSignature: true, critical: true },
    ],
  })
  return { cert: made.cert, key: made.private }
}

async function signedBy(ca: Pair, name: string): Promise<Pair> {
  const made = await generate([{ name: 'commonName', value: name }], {
    keyType: 'ec',
    algorithm: 'sha256',
    ca,
    extensions: [
      { name: 'basicConstraints', cA: false },
      { name: 'extKeyUsage', serverAuth: true, clientAuth: true },
      {
        name: 'subjectAltName',
        altNames: [
          { type: 2, value: 'localhost' },
          { type: 7, ip: '127.0.0.1' },
        ],
      },
    ],
  })
  return { cert: made.cert, key: made.private }
}

/** Makes them, in a folder of their own. The caller removes it. */
export async function makeCertificates(): Promise<TestCertificates> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-tls-'))
  const authority = await authorityNamed('Millrace test authority')
  const certPath = join(folder, 'server.pem')
  const keyPath = join(folder, 'server.key')
  const clientCaPath = join(folder, 'authority.pem')
  const renew = async (): Promise<Pair> => {
    const made = await signedBy(authority, 'localhost')
    await writeFile(certPath, made.cert)
    await writeFile(keyPath, made.key)
    return made
  }
  const server = await renew()
  await writeFile(clientCaPath, authority.cert)
  return {
    folder,
    authority,
    server,
    client: await signedBy(authority, 'client'),
    stranger: await signedBy(await authorityNamed('Another authority'), 'stranger'),
    certPath,
    keyPath,
    clientCaPath,
    renew,
    remove: () => rm(folder, { recursive: true, force: true }),
  }
}
