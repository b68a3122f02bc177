/** The suite through TLS and HTTP/2: its client is told to negotiate that, and the server counts what came in by it. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer, memoryStorage } from '@millrace/server'
import { generate } from 'selfsigned'
import * as undici from 'undici'
import { executedTests } from './suite-facts.ts'
import { runSuiteAgainst } from './suite-run.ts'

const platform = { fetch, Request, Response, Headers }

/** Everything that the suite and its client send from here on trusts this certificate, and offers HTTP/2 first. */
function sendOverHttp2(certificate: string): () => Promise<void> {
  const agent = new undici.Agent({ allowH2: true, connect: { ca: certificate } })
  const { Request, Response, Headers } = undici
  const send: typeof undici.fetch = (input, init) => undici.fetch(input, { ...init, dispatcher: agent })
  Object.assign(globalThis, { fetch: send, Request, Response, Headers })
  return async () => {
    Object.assign(globalThis, platform)
    await agent.destroy()
  }
}

runSuiteAgainst(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-http2-'))
  const certPath = join(folder, 'server.pem')
  const keyPath = join(folder, 'server.key')
  const made = await generate([{ name: 'commonName', value: 'localhost' }], {
    keyType: 'ec',
    algorithm: 'sha256',
    extensions: [{ name: 'subjectAltName', altNames: [{ type: 7, ip: '127.0.0.1' }] }],
  })
  await writeFile(certPath, made.cert)
  await writeFile(keyPath, made.private)
  const server = await createServer({
    storage: memoryStorage(),
    port: 0,
    longPollTimeoutMs: 400,
    tls: { certPath, keyPath },
  })
  const restore = sendOverHttp2(made.cert)
  return {
    url: server.url,
    async stop() {
      await restore()
      const { http1, http2 } = server.requestCounts()
      await server.close()
      await rm(folder, { recursive: true })
      if (http1 > 0 || http2 < executedTests) {
        throw new Error(`${http1} requests came by HTTP/1.1 and ${http2} by HTTP/2: all were meant to`)
      }
    },
  }
})
