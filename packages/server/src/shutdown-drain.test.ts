/** Stopping a server: what was begun is finished, what waits is answered, nothing new is taken. */
import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { memoryStorage, type StreamStorage } from '@millrace/engine'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import {
  ADAPTERS,
  parseReplies,
  type Reply,
  requestsTo,
  SseReader,
  startTestServer,
  type TestServer,
} from './test-server.fixture.ts'

// A busy machine is slow, not wrong.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 })

const PATH = '/v1/stream/last'
const TEXT = { 'content-type': 'text/plain' }
const PATIENCE = { timeout: 10_000, interval: 5 }
const MIB = 1024 * 1024
/** Longer than any test may take: what is only cut off at the end of the grace period does not pass. */
const GRACE_MS = 120_000

let server: TestServer
let storage: StreamStorage

beforeEach(async () => {
  storage = memoryStorage()
  server = await startTestServer({
    storage,
    longPollTimeoutMs: 60_000,
    sseReconnectIntervalMs: 0,
    shutdownGraceMs: GRACE_MS,
    limits: { chunkBytes: 16 * MIB, followChunkBytes: 16 * MIB },
  })
  await server.request('PUT', PATH, { headers: TEXT, body: 'abc' })
})

afterEach(() => server.close())

async function untilReaders(count: number): Promise<void> {
  await vi.waitUntil(() => server.server.statistics()?.readers === count, PATIENCE)
}

/** A bare connection, and everything that came back over it once it was closed. */
async function bareConnection(): Promise<{
  readonly socket: Socket
  readonly over: Promise<readonly Reply[]>
}> {
  const socket = connect({ host: '127.0.0.1', port: server.port })
  const chunks: Buffer[] = []
  socket.on('data', (chunk) => chunks.push(chunk))
  const over = new Promise<readonly Reply[]>((resolve, reject) => {
    socket.on('error', reject)
    socket.on('close', () => resolve(parseReplies(Buffer.concat(chunks))))
  })
  await once(socket, 'connect')
  return { socket, over }
}

/**
 * Sends a complete request and the beginning of a POST in one piece: once the first is answered, the server is known
 * to wait for the rest of the second.
 */
async function beginAppend(socket: Socket, framing: string, body = ''): Promise<void> {
  const complete = `HEAD ${PATH} HTTP/1.1\r\nHost: localhost\r\n\r\n`
  const head = [`POST ${PATH} HTTP/1.1`, 'Host: localhost', 'Content-Type: text/plain', framing]
  const answered = once(socket, 'data')
  socket.write(`${complete}${head.join('\r\n')}\r\n\r\n${body}`)
  await answered
}

/** An answer whose body is left in the socket. */
function openUnread(path: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request({ host: '127.0.0.1', port: server.port, agent: false, path }, resolve).on('error', reject).end()
  })
}

describe('closing', () => {
  test('ends SSE readers with the last chunk of their answer', async () => {
    const { socket, over } = await bareConnection()
    socket.write(`GET ${PATH}?offset=-1&live=sse HTTP/1.1\r\nHost: localhost\r\n\r\n`)
    const received: Buffer[] = []
    socket.on('data', (chunk) => received.push(chunk))
    await untilReaders(1)
    await server.server.close()
    const [reply] = await over

    expect(Buffer.concat(received).toString('latin1')).toMatch(/\r\n0\r\n\r\n$/)
    expect(reply?.text).toMatch(/^event: data\ndata:abc\n\nevent: control\ndata:\{.*\}\n\n$/)
    expect(reply?.text).not.toContain('streamClosed')
    expect(server.server.statistics()?.readers).toBe(0)
  })

  test('ends every one of many readers cleanly', async () => {
    const readers = await Promise.all(
      Array.from({ length: 200 }, () => server.openSse(`${PATH}?offset=-1&live=sse`)),
    )
    await Promise.all(readers.map((reader) => reader.take(2)))
    await server.server.close()

    const rests = await Promise.all(readers.map((reader) => reader.rest()))
    const endings = await Promise.all(readers.map((reader) => reader.ended))

    expect(rests.flat()).toEqual([])
    expect(new Set(endings)).toEqual(new Set(['complete']))
  })

  test('lets a slow SSE reader take in what was sent to it', async () => {
    await server.request('POST', PATH, { headers: TEXT, body: 'x'.repeat(14 * MIB) })
    const incoming = await openUnread(`${PATH}?offset=-1&live=sse`)
    await untilReaders(1)
    const closed = server.server.close()
    const reader = new SseReader(200, new Headers(), incoming, () => incoming.destroy())
    const events = await reader.rest()
    await closed

    expect(await reader.ended).toBe('complete')
    expect(events.map(({ kind }) => kind)).toEqual(['data', 'control'])
  })

  test('lets a slow reader take in the answer that it was given', async () => {
    const body = 'x'.repeat(15 * MIB)
    await server.request('PUT', `${PATH}/large`, { headers: TEXT, body })
    const incoming = await openUnread(`${PATH}/large?offset=-1`)
    const closed = server.server.close()
    let size = 0
    const whole = new Promise<string>((resolve) => {
      incoming.on('data', (chunk: Buffer) => {
        size += chunk.length
      })
      incoming.on('end', () => resolve('complete'))
      incoming.on('error', () => resolve('broken'))
    })

    expect([await whole, size]).toEqual(['complete', body.length])
    await closed
  })

  test('answers polls that wait with 204', async () => {
    const tail = (await server.request('HEAD', PATH)).headers.get('stream-next-offset')
    const polls = Array.from({ length: 50 }, () => server.request('GET', `${PATH}?offset=now&live=long-poll`))
    await untilReaders(50)
    await server.server.close()

    const replies = await Promise.all(polls)

    expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([204]))
    expect(new Set(replies.map(({ headers }) => headers.get('stream-next-offset')))).toEqual(new Set([tail]))
    expect(new Set(replies.map(({ headers }) => headers.get('connection')))).toEqual(new Set(['close']))
    expect(new Set(replies.map(({ headers }) => headers.get('stream-closed')))).toEqual(new Set([null]))
  })

  test('finishes an append whose body is still on its way', async () => {
    const { socket, over } = await bareConnection()
    await beginAppend(socket, 'Content-Length: 6', 'def')
    const closed = server.server.close()
    socket.write('ghi')
    const [, reply] = await over
    await closed

    expect(reply?.status).toBe(204)
    expect(reply?.headers.get('connection')).toBe('close')
    expect((await storage.list('', undefined, 10)).map(({ tail }) => tail)).toEqual([9])
  })

  test('finishes an append whose body comes in chunks', async () => {
    const { socket, over } = await bareConnection()
    await beginAppend(socket, 'Transfer-Encoding: chunked', '3\r\ndef\r\n')
    const closed = server.server.close()
    socket.write('3\r\nghi\r\n0\r\n\r\n')
    const [, reply] = await over
    await closed

    expect(reply?.status).toBe(204)
    expect((await storage.list('', undefined, 10)).map(({ tail }) => tail)).toEqual([9])
  })

  test('closes keep-alive connections that are idle', async () => {
    const { socket, over } = await bareConnection()
    socket.write(`HEAD ${PATH} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
    await once(socket, 'data')
    await server.server.close()

    expect((await over).map(({ status }) => status)).toEqual([200])
  })

  test('closes connections that have never sent anything', async () => {
    const { over } = await bareConnection()
    // The server knows of the connection once it has answered a later one.
    await server.request('HEAD', PATH)
    await server.server.close()

    expect(await over).toEqual([])
  })

  test('takes no new connections', async () => {
    await server.server.close()

    await expect(requestsTo(server.port)('HEAD', PATH)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  })

  test('takes no new connections while a request is still under way', async () => {
    const { socket, over } = await bareConnection()
    await beginAppend(socket, 'Content-Length: 3')
    const closed = server.server.close()

    await expect(requestsTo(server.port)('HEAD', PATH)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    socket.write('def')
    const [, reply] = await over
    await closed
    expect(reply?.status).toBe(204)
  })

  test('twice, or at once with itself, is harmless', async () => {
    const reader = await server.openSse(`${PATH}?offset=-1&live=sse`)
    await Promise.all([server.server.close(), server.server.close()])
    await server.server.close()
    await server.server.handler.close()

    expect(await reader.ended).toBe('complete')
    expect(server.errors).toEqual([])
  })

  test('leaves no reader, no wait and no commit behind', async () => {
    await server.openSse(`${PATH}?offset=-1&live=sse`)
    const poll = server.request('GET', `${PATH}?offset=now&live=long-poll`)
    await untilReaders(2)
    await server.server.close()
    await poll

    expect(server.server.statistics()).toMatchObject({ readers: 0, deadlines: 0, pendingCommits: 0 })
    expect(server.errors).toEqual([])
  })

  test('closes the store after the last request, once', async () => {
    const calls: string[] = []
    const memory = memoryStorage()
    const recording = new Proxy(memory, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name)
        if (typeof value !== 'function') return value
        return (...given: readonly unknown[]): unknown => {
          if (name === 'commit' || name === 'close') calls.push(name)
          return value.apply(target, given)
        }
      },
    })
    const recorded = await startTestServer({ storage: recording, shutdownGraceMs: GRACE_MS })
    await recorded.request('PUT', PATH, { headers: TEXT, body: 'abc' })
    await Promise.all([recorded.close(), recorded.close()])

    expect(calls).toEqual(['commit', 'close'])
  })
})

describe.each(ADAPTERS)('a reader that comes while the server drains, over %s', (adapter) => {
  test('gets the events that there are, and the end', async () => {
    server.server.handler.drain()
    const reader = await server.openSse(`${PATH}?offset=-1&live=sse`, adapter)
    const events = await reader.rest()

    expect(events.map(({ kind }) => kind)).toEqual(['data', 'control'])
    expect(await reader.ended).toBe('complete')
    expect(server.server.statistics()?.readers).toBe(0)
  })

  test('gets the end at once when there are no events', async () => {
    server.server.handler.drain()
    const reader = await server.openSse(`${PATH}?offset=now&live=sse`, adapter)
    const events = await reader.rest()

    expect(events.map(({ kind }) => kind)).toEqual(['control'])
    expect(await reader.ended).toBe('complete')
  })

  test('is not made to wait by a poll', async () => {
    server.server.handler.drain()
    const send = server.via(adapter)
    const poll = await send('GET', `${PATH}?offset=now&live=long-poll`)
    const append = await send('POST', PATH, { headers: TEXT, body: 'def' })
    const read = await send('GET', PATH)

    expect([poll.status, append.status, read.text]).toEqual([204, 204, 'abcdef'])
  })
})

test('answers over node ask for the end of their connection while the server drains', async () => {
  server.server.handler.drain()
  const replies = await Promise.all([
    server.request('GET', PATH),
    server.request('HEAD', PATH),
    server.request('POST', PATH, { headers: TEXT, body: 'def' }),
    server.request('GET', '/nothing'),
    server.request('GET', '/readyz'),
  ])

  expect(replies.map(({ status }) => status)).toEqual([200, 200, 204, 404, 503])
  expect(replies.map(({ headers }) => headers.get('connection'))).toEqual(replies.map(() => 'close'))
})

describe('a client that never finishes', () => {
  test('is cut off when the grace period is over', async () => {
    const brief = await startTestServer({ shutdownGraceMs: 50 })
    await brief.request('PUT', PATH, { headers: TEXT })
    const socket = connect({ host: '127.0.0.1', port: brief.port })
    socket.on('error', () => undefined)
    const gone = once(socket, 'close')
    await beginAppend(socket, 'Content-Length: 3')
    await brief.close()
    await gone

    expect(brief.server.statistics()?.pendingCommits).toBe(0)
    expect(brief.errors).toEqual([])
  })
})
