/** The `node:http` adapter: connections that go on after a refusal, clients that go away, and how live bodies flow. */
import { once } from 'node:events'
import { createServer, request, type Server } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import type { LiveReader, LiveSink, WireRequest, WireResponse } from '@millrace/protocol'
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createNodeListener } from './node-adapter.ts'
import { openSse, rawExchange, requestsTo, SseReader, startTestServer } from './test-server.fixture.ts'

// A busy machine is slow, not wrong.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 })

const LIMIT = 1000
const server = await startTestServer({
  maxBodyBytes: LIMIT,
  longPollTimeoutMs: 60_000,
  sseReconnectIntervalMs: 0,
})
afterAll(() => server.close())

const TEXT = { 'content-type': 'text/plain' }
const PATIENCE = { timeout: 10_000, interval: 5 }
const MIB = 1024 * 1024
let streams = 0
let path = ''

beforeEach(async () => {
  path = `/v1/stream/node/${streams++}`
  await server.request('PUT', path, { headers: TEXT, body: 'abc' })
})

function head(method: string, target: string, fields: readonly string[] = []): string {
  return [`${method} ${target} HTTP/1.1`, 'Host: localhost', ...fields, '', ''].join('\r\n')
}

function chunk(body: string): string {
  return `${body.length.toString(16)}\r\n${body}\r\n`
}

async function untilReaders(count: number): Promise<void> {
  await vi.waitUntil(() => server.server.statistics()?.readers === count, PATIENCE)
}

describe('a body that is too large', () => {
  const large = 'x'.repeat(LIMIT * 3)
  const framed: readonly (readonly [string, readonly string[], string])[] = [
    ['with a length', [`Content-Length: ${large.length}`], large],
    ['in chunks', ['Transfer-Encoding: chunked'], `${chunk(large.slice(0, 900)).repeat(3)}0\r\n\r\n`],
  ]

  test.each(framed)('%s is answered 413, and the connection goes on', async (_, fields, body) => {
    const { replies } = await rawExchange(server.port, [
      head('POST', path, ['Content-Type: text/plain', ...fields]),
      body,
      `${head('POST', path, ['Content-Type: text/plain', 'Content-Length: 3'])}def`,
      head('GET', path, ['Connection: close']),
    ])

    expect(replies.map(({ status }) => status)).toEqual([413, 204, 200])
    expect(replies[0]?.headers.get('connection')).not.toBe('close')
    expect(replies[2]?.text).toBe('abcdef')
  })

  test.each(framed)('%s, sent in one go with the next request, changes nothing', async (_, fields, body) => {
    const { replies } = await rawExchange(
      server.port,
      `${head('POST', path, ['Content-Type: text/plain', ...fields])}${body}${head('GET', path, ['Connection: close'])}`,
    )

    expect(replies.map(({ status, text }) => [status, text.length > 3])).toEqual([
      [413, true],
      [200, false],
    ])
  })

  test('is answered before all of it has come', async () => {
    const outgoing = request({
      host: '127.0.0.1',
      port: server.port,
      agent: false,
      path,
      method: 'POST',
      headers: TEXT,
    })
    outgoing.on('error', () => undefined)
    const answered = once(outgoing, 'response')
    outgoing.write('x'.repeat(LIMIT + 1))
    const [incoming] = await answered
    outgoing.destroy()

    expect(incoming.statusCode).toBe(413)
  })
})

describe('a client that goes away', () => {
  test.each([
    ['in the middle of a body', [head('POST', '', ['Content-Type: text/plain', 'Content-Length: 6']), 'def']],
    ['before a body', [head('POST', '', ['Content-Type: text/plain', 'Content-Length: 6'])]],
    [
      'between chunks',
      [head('POST', '', ['Content-Type: text/plain', 'Transfer-Encoding: chunked']), chunk('def')],
    ],
    [
      'in a chunk',
      [head('POST', '', ['Content-Type: text/plain', 'Transfer-Encoding: chunked']), '6\r\ndef'],
    ],
  ])('%s appends nothing', async (_, pieces) => {
    const sent = pieces.map((piece) => piece.replace('POST  ', `POST ${path} `))
    await rawExchange(server.port, sent, { afterwards: 'leave' })
    await server.request('POST', path, { headers: TEXT, body: '!' })

    expect((await server.request('GET', path)).text).toBe('abc!')
    expect(server.errors).toEqual([])
  })

  test('while it follows events leaves nothing behind', async () => {
    const idle = server.server.statistics()
    const readers = await Promise.all(
      Array.from({ length: 50 }, () => openSse(`${server.url}${path}?offset=now&live=sse`)),
    )
    await untilReaders(50)
    for (const reader of readers) reader.abort()
    await untilReaders(0)

    expect(server.server.statistics()).toEqual(idle)
  })

  test('while it polls leaves nothing behind', async () => {
    const idle = server.server.statistics()
    const sockets = Array.from({ length: 50 }, () => connect({ host: '127.0.0.1', port: server.port }))
    for (const socket of sockets) {
      socket.on('error', () => undefined)
      socket.write(head('GET', `${path}?offset=now&live=long-poll`))
    }
    await untilReaders(50)
    for (const [index, socket] of sockets.entries()) {
      // A reset and an orderly end are both a client that is gone.
      if (index % 2 === 0) socket.resetAndDestroy()
      else socket.destroy()
    }
    await untilReaders(0)

    expect(server.server.statistics()).toEqual(idle)
    expect(server.errors).toEqual([])
  })

  test('while events are written to it does not disturb the others', async () => {
    const target = `${server.url}${path}?offset=now&live=sse`
    const leaving = await Promise.all(Array.from({ length: 30 }, () => openSse(target)))
    const staying = await openSse(target)
    for (let i = 0; i < 30; i++) {
      leaving[i]?.abort()
      await server.request('POST', path, { headers: TEXT, body: `${i};` })
    }
    await server.request('POST', path, { headers: { 'stream-closed': 'true' } })
    const events = await staying.rest()
    await untilReaders(0)

    const received = events.filter(({ kind }) => kind === 'data').map(({ data }) => data)
    expect(received.join('')).toBe(Array.from({ length: 30 }, (_, i) => `${i};`).join(''))
    expect(server.errors).toEqual([])
  })
})

describe('an answer', () => {
  test('to HEAD is followed by the next one on the connection', async () => {
    const { text } = await rawExchange(server.port, [
      head('HEAD', path),
      head('HEAD', '/v1/stream/missing'),
      head('GET', path, ['Connection: close']),
    ])

    const answers = text.split('HTTP/1.1 ').slice(1)
    expect(answers.map((one) => one.slice(0, 3))).toEqual(['200', '404', '200'])
    expect(answers.map((one) => one.slice(one.indexOf('\r\n\r\n') + 4))).toEqual(['', '', 'abc'])
  })

  test('of many pieces arrives whole', async () => {
    const parts = Array.from({ length: 300 }, (_, index) => `${index}:${'y'.repeat(900)};`)
    await server.request('PUT', `${path}/many`, { headers: TEXT })
    for (const part of parts) await server.request('POST', `${path}/many`, { headers: TEXT, body: part })

    const reply = await server.request('GET', `${path}/many`)

    expect(reply.text === parts.join('')).toBe(true)
    expect(reply.headers.get('content-length')).toBe(String(parts.join('').length))
  })
})

describe('around a handler of its own', () => {
  /** A reader whose bytes the test makes up. */
  class Source implements LiveReader {
    sink: LiveSink | undefined
    started = 0
    resumed = 0
    stopped = 0

    start(sink: LiveSink): LiveReader {
      this.sink = sink
      this.started++
      return this
    }

    resume(): void {
      this.resumed++
    }

    stop(): void {
      this.stopped++
    }
  }

  let source: Source
  let seen: WireRequest[]
  let answer: (request: WireRequest) => Promise<WireResponse>
  let own: Server
  let port: number

  beforeEach(async () => {
    source = new Source()
    seen = []
    answer = async () => ({ status: 200, headers: ['Content-Type', 'text/event-stream'], body: source })
    const listener = createNodeListener(
      (wire) => {
        seen.push(wire)
        return answer(wire)
      },
      () => false,
    )
    own = createServer(listener).listen(0, '127.0.0.1')
    await once(own, 'listening')
    port = portOf(own.address())
  })

  afterEach(async () => {
    own.closeAllConnections()
    await new Promise((resolve) => own.close(resolve))
  })

  function portOf(address: AddressInfo | string | null): number {
    if (address === null || typeof address === 'string') throw new Error('not listening on a port')
    return address.port
  }

  test('the head leaves before the first byte of a live body', async () => {
    const reader = await openSse(`http://127.0.0.1:${port}/a`)
    source.sink?.write(Buffer.from('data:1\n\n'))
    const [first] = await reader.take(1)
    source.sink?.end()

    expect([reader.status, first?.data, await reader.ended]).toEqual([200, '1', 'complete'])
    expect(source.stopped).toBe(1)
  })

  test('a sink that is full says so, and the reader is told when it has room again', async () => {
    const incoming = new Promise<AsyncIterable<Uint8Array>>((resolve, reject) => {
      request({ host: '127.0.0.1', port, agent: false, path: '/a' }, resolve).on('error', reject).end()
    })
    const source64 = Buffer.alloc(64 * 1024, 'a')
    const body = await incoming
    let written = 0
    while (source.sink?.write(source64) === true && written < 100 * MIB) written += source64.length
    const resumedBefore = source.resumed
    const reader = new SseReader(200, new Headers(), body, () => undefined)
    await vi.waitUntil(() => source.resumed > resumedBefore, PATIENCE)
    source.sink?.end()

    expect(written).toBeLessThan(100 * MIB)
    expect(await reader.ended).toBe('complete')
    expect(reader.bytes().length).toBe(written + source64.length)
  })

  test('a live body that is broken off does not look complete', async () => {
    const reader = await openSse(`http://127.0.0.1:${port}/a`)
    source.sink?.write(Buffer.from('data:1\n\n'))
    await reader.take(1)
    source.sink?.abort()

    expect(await reader.ended).toBe('broken')
    await vi.waitUntil(() => source.stopped === 1, PATIENCE)
    expect(source.sink?.write(Buffer.from('data:2\n\n'))).toBe(true)
  })

  test('a client that is gone before its answer is there never starts a live body', async () => {
    let goOn: () => void = () => undefined
    const ready = new Promise<void>((resolve) => {
      goOn = resolve
    })
    let aborts = 0
    answer = async (wire) => {
      wire.onAborted(() => aborts++)
      await ready
      return { status: 200, headers: [], body: source }
    }
    const outgoing = request({ host: '127.0.0.1', port, agent: false, path: '/a' })
    outgoing.on('error', () => undefined)
    outgoing.end()
    await vi.waitUntil(() => seen.length === 1, PATIENCE)
    outgoing.destroy()
    await vi.waitUntil(() => aborts === 1, PATIENCE)
    goOn()
    await ready

    expect([source.started, aborts]).toEqual([0, 1])
  })

  test('a client that is served is never reported as gone', async () => {
    let aborts = 0
    answer = async (wire) => {
      wire.onAborted(() => aborts++)
      return { status: 200, headers: ['Content-Length', '2'], body: Buffer.from('ok') }
    }
    const reply = await requestsTo(port)('GET', '/a')
    await requestsTo(port)('GET', '/a')

    expect([reply.text, aborts]).toEqual(['ok', 0])
  })

  test.each([
    ['/a?b=c', '/a?b=c'],
    ['/a/../b/%2e', '/a/../b/%2e'],
    ['http://elsewhere.example/a?b', '/a?b'],
    ['http://elsewhere.example', '/'],
    ['http://elsewhere.example?b', '/?b'],
    ['*', '*'],
  ])('the target %s is handed over as %s', async (target, handedOver) => {
    answer = async () => ({ status: 204, headers: [], body: undefined })
    await rawExchange(port, head('OPTIONS', target, ['Connection: close']))

    expect(seen.map((wire) => wire.target)).toEqual([handedOver])
  })

  test('header names are found in lower case, repeated fields joined', async () => {
    answer = async () => ({ status: 204, headers: [], body: undefined })
    await rawExchange(
      port,
      head('GET', '/', ['STREAM-Seq:  a ', 'Stream-Seq: b', 'If-None-Match: "1"', 'Connection: close']),
    )
    const [wire] = seen

    expect(['stream-seq', 'if-none-match', 'x'].map((name) => wire?.header(name))).toEqual([
      'a, b',
      '"1"',
      undefined,
    ])
    expect(wire?.scheme).toBe('http')
  })
})
