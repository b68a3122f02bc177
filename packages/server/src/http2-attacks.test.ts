/** Clients of HTTP/2 that keep to no rule: each is bounded, and others are served meanwhile and afterwards. */
import { once } from 'node:events'
import { request as httpsRequest } from 'node:https'
import { connect as tlsConnect } from 'node:tls'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import {
  ERROR,
  FLAG,
  FRAME,
  type Frame,
  frame,
  headerBlock,
  number32,
  RawHttp2,
  setting,
} from './http2-frames.fixture.ts'
import { makeCertificates, type TestCertificates } from './test-certificates.fixture.ts'
import { startTestServer, type TestServer } from './test-server.fixture.ts'

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

const PATH = '/v1/stream/kept'
const LIVE = `${PATH}?offset=now&live=sse`
const REQUEST = FLAG.endHeaders | FLAG.endStream
const MAX_HEADER_BYTES = 8 * 1024

let files: TestCertificates
/** Waits for nobody long. */
let hasty: TestServer
/** Waits as long as it does unless told otherwise, so that what ends an attack is not the time. */
let patient: TestServer
let raw: RawHttp2
const opened: RawHttp2[] = []

beforeAll(async () => {
  files = await makeCertificates()
  const { certPath, keyPath } = files
  const options = { tls: { certPath, keyPath }, maxHeaderBytes: MAX_HEADER_BYTES, sseReconnectIntervalMs: 0 }
  hasty = await startTestServer({ ...options, requestTimeoutMs: 1000 })
  patient = await startTestServer(options)
  for (const server of [hasty, patient]) await ask(server, 'PUT', 'kept')
})
afterAll(async () => {
  await hasty.close()
  await patient.close()
  await files.remove()
})
/** Whatever a test sent, others are served, nothing was stored, and the server has nothing to complain about. */
afterEach(async () => {
  for (const server of [hasty, patient]) {
    expect(await ask(server, 'GET')).toEqual([200, 'kept'])
    expect(server.errors).toEqual([])
  }
  for (const one of opened.splice(0)) one.destroy()
  for (const server of [hasty, patient]) await server.untilReaders(0)
})

/** One request of somebody else, on a connection of its own. */
function ask(server: TestServer, method: string, body = ''): Promise<readonly [number, string]> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'text/plain', 'content-length': body.length }
    const options = { host: '127.0.0.1', port: server.port, path: PATH, method, headers, agent: false }
    const outgoing = httpsRequest({ ...options, ca: files.authority.cert }, (incoming) => {
      let text = ''
      incoming.on('data', (chunk: Buffer) => {
        text += chunk.toString()
      })
      incoming.on('end', () => resolve([incoming.statusCode ?? 0, text]))
    })
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

async function connectTo(server: TestServer): Promise<RawHttp2> {
  raw = await RawHttp2.connect(server.port, files.authority.cert)
  opened.push(raw)
  return raw
}

function fields(method: string, path: string, more: Readonly<Record<string, string>> = {}): Buffer {
  const pseudo = { ':method': method, ':scheme': 'https', ':authority': 'localhost', ':path': path }
  return headerBlock({ ...pseudo, ...more })
}

const post = (): Buffer => fields('POST', PATH, { 'content-type': 'text/plain' })
const isOf =
  (type: number, stream: number) =>
  (found: Frame): boolean =>
    found.type === type && found.stream === stream
const resetsOf = (code: number): readonly Frame[] =>
  raw.frames.filter(({ type, payload }) => type === FRAME.reset && payload.readUInt32BE() === code)

/** A problem document in a DATA frame. */
async function problemOn(stream: number): Promise<unknown> {
  const found = await raw.until((one) => isOf(FRAME.data, stream)(one) && one.payload.length > 0)
  return JSON.parse(found?.payload.toString() ?? '""')
}

describe('slow clients', () => {
  it.each([
    ['do not end a head', `POST ${PATH} HTTP/1.1\r\nHost: local`],
    ['do not end a body', `POST ${PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhalf`],
  ])('that %s are answered 408 on HTTP/1.1 beside it as well', async (_, bytes) => {
    const socket = tlsConnect({ host: '127.0.0.1', port: hasty.port, ca: files.authority.cert })
    let text = ''
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString()
    })
    socket.write(bytes)
    await once(socket, 'close')
    expect(text).toMatch(/^HTTP\/1\.1 408 .*"code":"REQUEST_TIMEOUT"/s)
  })

  it('that do not even begin are let go', async () => {
    await (await connectTo(hasty)).closed
    expect(raw.frames.map(({ type }) => type)).not.toContain(FRAME.headers)
  })

  it('that ask for nothing are let go', async () => {
    await (await connectTo(hasty)).begin()
    await raw.closed
    expect(raw.frames.map(({ type }) => type)).toContain(FRAME.goAway)
  })

  it('that ask for nothing are let go, however often they say that they are there', async () => {
    await (await connectTo(hasty)).begin()
    while (!raw.isClosed) {
      await raw.send(frame(FRAME.ping, 0, 0, Buffer.alloc(8)))
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    expect(raw.frames.map(({ type }) => type)).toContain(FRAME.ping)
  })

  it('that do not end a head are let go', async () => {
    await (await connectTo(hasty)).begin()
    await raw.send(frame(FRAME.headers, FLAG.endStream, 1, fields('GET', PATH)))
    await raw.closed
    expect(raw.frames.filter(isOf(FRAME.headers, 1))).toEqual([])
  })

  it.each([
    ['do not begin a body', []],
    ['stop within a body', [frame(FRAME.data, 0, 1, Buffer.from('half'))]],
  ])('that %s are answered 408 and reset', async (_, sent) => {
    await (await connectTo(hasty)).begin()
    await raw.send(frame(FRAME.headers, FLAG.endHeaders, 1, post()), ...sent)
    expect(await problemOn(1)).toMatchObject({ status: 408, code: 'REQUEST_TIMEOUT' })
    expect(await raw.until(isOf(FRAME.reset, 1))).toBeDefined()
  })

  it('that send a body bit by bit without an end are answered 408', async () => {
    await (await connectTo(hasty)).begin()
    await raw.send(frame(FRAME.headers, FLAG.endHeaders, 1, post()))
    while (!raw.frames.some(isOf(FRAME.headers, 1)) && !raw.isClosed) {
      await raw.send(frame(FRAME.data, 0, 1, Buffer.from('x')))
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    expect(await problemOn(1)).toMatchObject({ status: 408, code: 'REQUEST_TIMEOUT' })
  })

  it('that only read are not slow', async () => {
    await (await connectTo(hasty)).begin()
    await raw.send(frame(FRAME.headers, REQUEST, 1, fields('GET', LIVE)))
    await hasty.untilReaders(1)
    // Longer than any request may take: another one has been found late meanwhile, twice.
    for (const stream of [3, 5]) {
      await raw.send(frame(FRAME.headers, FLAG.endHeaders, stream, post()))
      expect(await problemOn(stream)).toMatchObject({ status: 408 })
    }
    expect([raw.isClosed, hasty.server.statistics()?.readers]).toEqual([false, 1])
  })
})

describe('bodies that break off', () => {
  it.each([
    ['without an error', 0],
    ['because nobody needs them', 8],
    ['because of an error', 2],
  ])('%s are not stored', async (_, code) => {
    await (await connectTo(patient)).begin()
    await raw.send(
      frame(FRAME.headers, FLAG.endHeaders, 1, post()),
      frame(FRAME.data, 0, 1, Buffer.from('half')),
    )
    // Answered after what came before it: by then the half is with its reader.
    await raw.send(frame(FRAME.ping, 0, 0, Buffer.alloc(8)))
    await raw.until(isOf(FRAME.ping, 0))
    await raw.send(frame(FRAME.reset, 0, 1, number32(code)))
    await raw.send(frame(FRAME.headers, REQUEST, 3, fields('GET', PATH)))
    const read = await raw.until((one) => isOf(FRAME.data, 3)(one) && one.payload.length > 0)
    expect(read?.payload.toString()).toBe('kept')
  })

  it('by a length that is too large are refused', async () => {
    await (await connectTo(patient)).begin()
    const head = fields('POST', PATH, { 'content-type': 'text/plain', 'content-length': '10' })
    await raw.send(
      frame(FRAME.headers, FLAG.endHeaders, 1, head),
      frame(FRAME.data, FLAG.endStream, 1, Buffer.from('half')),
    )
    expect(await raw.until(isOf(FRAME.reset, 1))).toBeDefined()
  })
})

describe('heads', () => {
  /** Together more than a head may have, each less. */
  const tooMuch = { one: 'x'.repeat(MAX_HEADER_BYTES / 2), other: 'y'.repeat(MAX_HEADER_BYTES / 2) }

  it('that are too large are answered 431, where the client has not taken note of the limit', async () => {
    await (await connectTo(patient)).begin()
    await raw.send(frame(FRAME.headers, REQUEST, 1, fields('GET', PATH, tooMuch)))
    expect(await problemOn(1)).toMatchObject({ status: 431, code: 'HEADERS_TOO_LARGE' })
  })

  it('that are too large are reset, where it has', async () => {
    await (await connectTo(patient)).begin()
    await raw.until(isOf(FRAME.settings, 0))
    await raw.send(frame(FRAME.settings, FLAG.ack, 0, Buffer.alloc(0)))
    await raw.send(frame(FRAME.headers, REQUEST, 1, fields('GET', PATH, tooMuch)))
    const reset = await raw.until(isOf(FRAME.reset, 1))
    expect(reset?.payload.readUInt32BE()).toBe(ERROR.enhanceYourCalm)
  })

  it('of more than 128 fields are reset', async () => {
    await (await connectTo(patient)).begin()
    const many = Object.fromEntries(Array.from({ length: 128 }, (_, index) => [`x${index}`, 'y']))
    await raw.send(frame(FRAME.headers, REQUEST, 1, fields('GET', PATH, many)))
    const reset = await raw.until(isOf(FRAME.reset, 1))
    expect(reset?.payload.readUInt32BE()).toBe(ERROR.enhanceYourCalm)
  })

  it('that go on and on end the connection', async () => {
    await (await connectTo(patient)).begin()
    await raw.send(frame(FRAME.headers, FLAG.endStream, 1, fields('GET', PATH)))
    for (let index = 0; !raw.isClosed; index++) {
      await raw.send(frame(FRAME.continuation, 0, 1, headerBlock({ [`x${index}`]: 'y'.repeat(1000) })))
    }
    expect(raw.frames.filter(isOf(FRAME.headers, 1))).toEqual([])
  })
})

describe('floods', () => {
  it('of requests that are taken back at once are not read on', async () => {
    await (await connectTo(patient)).begin()
    const isOver = (): boolean => raw.isClosed || raw.frames.some(isOf(FRAME.goAway, 0))
    for (let stream = 1; !isOver(); stream += 200) {
      const pairs = Array.from({ length: 100 }, (_, index) => [
        frame(FRAME.headers, REQUEST, stream + 2 * index, fields('GET', PATH)),
        frame(FRAME.reset, 0, stream + 2 * index, number32(8)),
      ])
      const goAway = raw.until(isOf(FRAME.goAway, 0))
      await Promise.race([raw.send(...pairs.flat()), goAway])
    }
    expect(raw.frames.filter(isOf(FRAME.goAway, 0))).not.toEqual([])
    expect(patient.server.statistics()?.pendingCommits).toBe(0)
  })

  it('of live readers that are taken back at once leave none', async () => {
    await (await connectTo(patient)).begin()
    for (let stream = 1; stream < 800; stream += 2) {
      await raw.send(
        frame(FRAME.headers, REQUEST, stream, fields('GET', LIVE)),
        frame(FRAME.reset, 0, stream, number32(8)),
      )
    }
    await patient.untilReaders(0)
    expect([raw.isClosed, patient.server.statistics()?.readers]).toEqual([false, 0])
  })

  it.each([
    ['pings', frame(FRAME.ping, 0, 0, Buffer.alloc(8))],
    ['settings', frame(FRAME.settings, 0, 0, setting(4, 65_535))],
  ])('of %s whose answers nobody reads end the connection', async (_, one) => {
    await (await connectTo(patient)).begin()
    raw.stopReading()
    const many = Buffer.concat(Array.from({ length: 1000 }, () => one))
    let sent = 0
    for (; sent < 2000 && !raw.isClosed; sent++) await raw.send(many)
    expect(sent).toBeLessThan(2000)
  })

  it('of requests at a time are refused beyond a thousand', async () => {
    await (await connectTo(patient)).begin()
    const block = fields('GET', LIVE)
    const heads = Array.from({ length: 1100 }, (_, index) =>
      frame(FRAME.headers, REQUEST, 1 + 2 * index, block),
    )
    await raw.send(...heads)
    await patient.untilReaders(1000)
    await raw.until(() => resetsOf(ERROR.refusedStream).length === 100)
    expect([resetsOf(ERROR.refusedStream).length, patient.server.statistics()?.readers]).toEqual([100, 1000])
  })

  it('of large answers that nobody takes are refused beyond what a connection may hold', async () => {
    await (await connectTo(patient)).begin(setting(4, 0))
    const path = '/v1/stream/large'
    const large = Buffer.alloc(16 * 1024 * 1024)
    await patient.server.handler.fetch(new Request(`${patient.url}${path}`, { method: 'PUT', body: large }))
    for (let stream = 1; stream < 400 && !raw.isClosed; stream += 2) {
      await raw.send(frame(FRAME.headers, REQUEST, stream, fields('GET', path)))
    }
    await raw.until(() => resetsOf(ERROR.enhanceYourCalm).length > 0)
    const heads = raw.frames.filter(({ type }) => type === FRAME.headers)
    expect(resetsOf(ERROR.enhanceYourCalm).length).toBeGreaterThan(0)
    expect(heads.length).toBeLessThan(100)
  })

  it('of empty pieces of a body end the connection', async () => {
    await (await connectTo(patient)).begin()
    await raw.send(frame(FRAME.headers, FLAG.endHeaders, 1, post()))
    const many = Buffer.concat(Array.from({ length: 1000 }, () => frame(FRAME.data, 0, 1, Buffer.alloc(0))))
    while (!raw.isClosed) await raw.send(many)
    expect(raw.frames.filter(isOf(FRAME.headers, 1))).toEqual([])
  })
})
