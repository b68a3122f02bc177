/** What is no HTTP/2 ends its connection, and others are served. */
import { once } from 'node:events'
import { type ClientHttp2Session, connect } from 'node:http2'
import { type TLSSocket, connect as tlsConnect } from 'node:tls'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { makeCertificates, type TestCertificates } from './test-certificates.fixture.ts'
import { startTestServer, type TestServer } from './test-server.fixture.ts'

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
const SETTINGS = 4
const STREAM = '/v1/stream/flooded'

let files: TestCertificates
let server: TestServer
const sessions: ClientHttp2Session[] = []

beforeAll(async () => {
  files = await makeCertificates()
})
afterAll(() => files.remove())

beforeEach(async () => {
  const { certPath, keyPath } = files
  server = await startTestServer({ tls: { certPath, keyPath }, sseReconnectIntervalMs: 0 })
  expect(await statusOf(await session(), { ':method': 'PUT', ':path': STREAM })).toBe(201)
})

afterEach(async () => {
  for (const one of sessions.splice(0)) one.destroy()
  await server.close()
  expect(server.errors).toEqual([])
})

async function session(): Promise<ClientHttp2Session> {
  const opened = connect(server.url, { ca: files.authority.cert })
  sessions.push(opened)
  // A server that has had enough of a session ends it.
  opened.on('error', () => undefined)
  await once(opened, 'connect')
  return opened
}

/** The status of an answer; 0 if there is none. */
function statusOf(over: ClientHttp2Session, headers: Record<string, string | string[]>): Promise<number> {
  return new Promise((resolve) => {
    const stream = over.request(headers)
    stream.on('response', ({ ':status': status }) => resolve(Number(status)))
    stream.on('error', () => resolve(0))
    stream.on('close', () => resolve(0))
    stream.resume()
    stream.end()
  })
}

/** A connection that speaks for itself, after the handshake. */
async function bareConnection(): Promise<TLSSocket> {
  const socket = tlsConnect({
    host: '127.0.0.1',
    port: server.port,
    ca: files.authority.cert,
    ALPNProtocols: ['h2'],
  })
  socket.on('error', () => undefined)
  await once(socket, 'secureConnect')
  expect(socket.alpnProtocol).toBe('h2')
  return socket
}

/** Being reset is one way of being closed. */
function untilClosed(socket: TLSSocket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()))
}

function frame(type: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head.writeUInt8(type, 3)
  return Buffer.concat([head, payload])
}

async function othersAreServed(): Promise<void> {
  expect(await statusOf(await session(), { ':path': `${STREAM}?offset=-1` })).toBe(200)
}

it.each([
  ['what is no preface', 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'],
  [
    'a frame longer than allowed',
    Buffer.concat([Buffer.from(PREFACE), Buffer.from('ffffff000000000000', 'hex')]),
  ],
  [
    'a request on an even stream',
    Buffer.concat([
      Buffer.from(PREFACE),
      frame(SETTINGS, Buffer.alloc(0)),
      Buffer.from('000001010400000002ff', 'hex'),
    ]),
  ],
])('%s ends the connection, and nothing else', async (_, bytes) => {
  const socket = await bareConnection()
  const closed = untilClosed(socket)
  socket.write(bytes)
  socket.resume()
  await closed
  await othersAreServed()
})
