/** TLS: HTTP/1.1 and HTTP/2 by ALPN, client certificates, renewal, and a stop that loses no answer. */
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { type ClientHttp2Session, connect, type IncomingHttpHeaders } from 'node:http2'
import { request as httpsRequest } from 'node:https'
import { join } from 'node:path'
import { connect as tlsConnect } from 'node:tls'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { makeCertificates, type Pair, type TestCertificates } from './test-certificates.fixture.ts'
import { startTestServer, type TestServer } from './test-server.fixture.ts'
import { TlsFileError, type TlsOptions } from './tls-files.ts'

vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 })

let files: TestCertificates
let server: TestServer
const sessions: ClientHttp2Session[] = []

beforeAll(async () => {
  files = await makeCertificates()
})
afterAll(() => files.remove())
afterEach(async () => {
  for (const session of sessions.splice(0)) session.destroy()
  await server.close()
})

async function start(tls: Partial<TlsOptions> = {}): Promise<void> {
  const { certPath, keyPath } = files
  server = await startTestServer({ tls: { certPath, keyPath, ...tls }, sseReconnectIntervalMs: 0 })
}

interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

async function session(pair?: Pair): Promise<ClientHttp2Session> {
  const opened = connect(server.url, { ca: files.authority.cert, ...(pair && pair) })
  sessions.push(opened)
  await once(opened, 'connect')
  return opened
}

function ask(
  over: ClientHttp2Session,
  method: string,
  path: string,
  headers = {},
  body = '',
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const stream = over.request({ ':method': method, ':path': path, ...headers })
    let answered: IncomingHttpHeaders = {}
    let text = ''
    stream.setEncoding('utf8')
    stream.on('response', (found) => {
      answered = found
    })
    stream.on('data', (chunk: string) => {
      text += chunk
    })
    stream.on('end', () => resolve({ status: Number(answered[':status']), headers: answered, text }))
    stream.on('error', reject)
    stream.end(body === '' ? undefined : body)
  })
}

function askOne(method: string, path: string, pair?: Pair): Promise<{ status: number; cert: string }> {
  return new Promise((resolve, reject) => {
    const { port } = server
    const options = {
      host: '127.0.0.1',
      port,
      path,
      method,
      ca: files.authority.cert,
      agent: false,
      ...(pair && pair),
    }
    const request = httpsRequest(options, (response) => {
      const socket = response.socket
      const serial =
        'getPeerCertificate' in socket
          ? String((socket.getPeerCertificate as () => { serialNumber: string })().serialNumber)
          : ''
      response.resume()
      response.on('end', () => resolve({ status: response.statusCode ?? 0, cert: serial }))
    })
    request.on('error', reject)
    request.end()
  })
}

const PATH = '/v1/stream/secret'
const TEXT = { 'content-type': 'text/plain' }

describe('R-343: HTTP/2 over TLS', () => {
  it('creates, appends, reads and closes', async () => {
    await start()
    const over = await session()
    const created = await ask(over, 'PUT', PATH, TEXT)
    expect([created.status, created.headers.location]).toEqual([201, `${server.url}${PATH}`])
    expect((await ask(over, 'POST', PATH, TEXT, 'hello')).status).toBe(204)
    const read = await ask(over, 'GET', `${PATH}?offset=-1`)
    expect([read.status, read.text, read.headers['stream-up-to-date']]).toEqual([200, 'hello', 'true'])
    const head = await ask(over, 'HEAD', PATH)
    expect([head.status, head.headers['stream-next-offset']]).toEqual([
      200,
      read.headers['stream-next-offset'],
    ])
    const missing = await ask(over, 'GET', '/v1/stream/none')
    expect([missing.status, missing.headers['content-type']]).toEqual([404, 'application/problem+json'])
    expect((await ask(over, 'DELETE', PATH)).status).toBe(204)
  })

  it('follows many streams on one connection, and appends beside them', async () => {
    await start()
    const over = await session()
    const paths = Array.from({ length: 40 }, (_, i) => `${PATH}/${i}`)
    for (const path of paths) await ask(over, 'PUT', path, TEXT)
    const seen = paths.map(
      (path) =>
        new Promise<string>((resolve) => {
          const stream = over.request({ ':path': `${path}?offset=-1&live=sse` })
          let text = ''
          stream.setEncoding('utf8')
          stream.on('data', (chunk: string) => {
            text += chunk
            if (text.includes('event: data')) resolve(text)
          })
        }),
    )
    await server.untilReaders(paths.length)
    for (const path of paths) expect((await ask(over, 'POST', path, TEXT, `to ${path}`)).status).toBe(204)
    for (const [i, text] of (await Promise.all(seen)).entries()) expect(text).toContain(`to ${paths[i]}`)
  })

  it('takes a body without a length, and refuses one that is too large', async () => {
    await start()
    const over = await session()
    await ask(over, 'PUT', PATH, { 'content-type': 'application/octet-stream' })
    const large = 'x'.repeat(17 * 1024 * 1024)
    const refused = await ask(over, 'POST', PATH, { 'content-type': 'application/octet-stream' }, large)
    expect(refused.status).toBe(413)
    const taken = await ask(
      over,
      'POST',
      PATH,
      { 'content-type': 'application/octet-stream' },
      'x'.repeat(1024 * 1024),
    )
    expect([taken.status, server.errors]).toEqual([204, []])
  })

  it('answers 421 to a host it does not know', async () => {
    await start()
    const over = await session()
    expect((await ask(over, 'GET', PATH, { ':authority': 'evil.example' })).status).toBe(421)
  })

  it('ends live readers and connections at a stop, and gives every answer that is owed', async () => {
    await start()
    const over = await session()
    await ask(over, 'PUT', PATH, TEXT)
    const live = ask(over, 'GET', `${PATH}?offset=-1&live=sse`)
    const poll = ask(over, 'GET', `${PATH}?offset=now&live=long-poll`)
    await server.untilReaders(2)
    const closed = once(over, 'close')
    await server.server.close()
    await closed
    expect([(await live).status, (await poll).status, server.errors]).toEqual([200, 204, []])
  })
})

describe('the version of HTTP', () => {
  it('is chosen by the client', async () => {
    await start()
    expect((await askOne('GET', '/healthz')).status).toBe(200)
    expect((await ask(await session(), 'GET', '/healthz')).status).toBe(200)
  })

  it('is only one if only one is to be served', async () => {
    await start({ versions: ['http2'] })
    expect((await ask(await session(), 'GET', '/healthz')).status).toBe(200)
    expect((await askOne('GET', '/healthz')).status).toBe(403)
    await server.close()
    await start({ versions: ['http1'] })
    expect((await askOne('GET', '/healthz')).status).toBe(200)
    const asking = { port: server.port, host: '127.0.0.1', ca: files.authority.cert }
    const offered = tlsConnect({ ...asking, ALPNProtocols: ['h2', 'http/1.1'] })
    await once(offered, 'secureConnect')
    expect(offered.alpnProtocol).toBe('http/1.1')
    offered.destroy()
  })

  it('of TLS is 1.2 at least', async () => {
    await start()
    const connecting = tlsConnect({
      port: server.port,
      host: '127.0.0.1',
      ca: files.authority.cert,
      maxVersion: 'TLSv1.1',
      minVersion: 'TLSv1',
    })
    const [error] = (await once(connecting, 'error')) as [Error]
    expect(error.message).toMatch(/alert|version|protocol/i)
    expect((await askOne('GET', '/healthz')).status).toBe(200)
  })
})

describe('client certificates', () => {
  it('are asked for and checked with mutual TLS', async () => {
    await start({ clientCaPath: files.clientCaPath })
    expect((await askOne('GET', '/healthz', files.client)).status).toBe(200)
    await expect(askOne('GET', '/healthz')).rejects.toThrow()
    await expect(askOne('GET', '/healthz', files.stranger)).rejects.toThrow()
    expect((await ask(await session(files.client), 'GET', '/healthz')).status).toBe(200)
  })
})

describe('renewal', () => {
  it('gives new connections the new certificate and keeps those that are there', async () => {
    await start()
    const over = await session()
    const before = await askOne('GET', '/healthz')
    await files.renew()
    await server.server.reloadTls()
    const after = await askOne('GET', '/healthz')
    expect(after.status).toBe(200)
    expect(after.cert).not.toBe(before.cert)
    expect((await ask(over, 'GET', '/healthz')).status).toBe(200)
  })

  it('is the same without HTTP/2', async () => {
    await start({ versions: ['http1'] })
    const before = await askOne('GET', '/healthz')
    await files.renew()
    await server.server.reloadTls()
    expect((await askOne('GET', '/healthz')).cert).not.toBe(before.cert)
  })

  it('changes nothing if the new files are no good', async () => {
    await start()
    const before = await askOne('GET', '/healthz')
    await writeFile(files.keyPath, files.client.key)
    await expect(server.server.reloadTls()).rejects.toThrow(TlsFileError)
    expect((await askOne('GET', '/healthz')).cert).toBe(before.cert)
    await files.renew()
  })
})

describe('files that make no TLS server', () => {
  it('are named, without what they contain', async () => {
    await start()
    const { certPath, keyPath, folder } = files
    const broken = join(folder, 'broken.pem')
    await writeFile(broken, 'SECRET')
    const cases: readonly TlsOptions[] = [
      { certPath: join(folder, 'none.pem'), keyPath },
      { certPath, keyPath: broken },
      { certPath: broken, keyPath },
      { certPath, keyPath, clientCaPath: broken },
    ]
    for (const tls of cases) {
      const error: unknown = await startTestServer({ tls }).catch((reason: unknown) => reason)
      expect(error).toBeInstanceOf(TlsFileError)
      expect(String(error)).toMatch(/none\.pem|broken\.pem/)
      expect(String(error)).not.toContain('SECRET')
    }
  })
})
