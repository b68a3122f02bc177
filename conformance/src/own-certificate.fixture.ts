/** A certificate for 127.0.0.1 that is its own authority, made anew each time. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generate } from 'selfsigned'

/** What is in the files, and where they are. */
export interface OwnCertificate {
  readonly certificate: string
  readonly files: { readonly certPath: string; readonly keyPath: string }
  remove(): Promise<void>
}

/** The caller removes it. */
export async function makeOwnCertificate(): Promise<OwnCertificate> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-certificate-'))
  const certPath = join(folder, 'server.pem')
  const keyPath = join(folder, 'server.key')
  const made = await generate([{ name: 'commonName', value: 'localhost' }], {
    keyType: 'ec',
    algorithm: 'sha256',
    extensions: [{ name: 'subjectAltName', altNames: [{ type: 7, ip: '127.0.0.1' }] }],
  })
  await writeFile(certPath, made.cert)
  await writeFile(keyPath, made.private)
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true })
  return { certificate: made.cert, files: { certPath, keyPath }, remove }
}
