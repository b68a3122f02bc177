/** The suite through TLS and HTTP/2: its client is told to negotiate that, and the server counts what came in by it. */
import { createServer, memoryStorage } from '@millrace/server'
import * as undici from 'undici'
import { makeOwnCertificate } from './own-certificate.fixture.ts'
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
  const { certificate, files, remove } = await makeOwnCertificate()
  const server = await createServer({ storage: memoryStorage(), port: 0, longPollTimeoutMs: 400, tls: files })
  const restore = sendOverHttp2(certificate)
  return {
    url: server.url,
    async stop() {
      await restore()
      const { http1, http2 } = server.requestCounts()
      await server.close()
      await remove()
      if (http1 > 0 || http2 < executedTests) {
        throw new Error(`${http1} requests came by HTTP/1.1 and ${http2} by HTTP/2: all were meant to`)
      }
    },
  }
})
