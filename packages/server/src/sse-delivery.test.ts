/** Many bytes, many readers, slow readers: everything arrives, once, in order, and little is kept in between. */
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http'
import { memoryStorage } from '@millrace/engine'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createHandler, type MillraceHandler } from './create-handler.ts'
import { ADAPTERS, type SseEvent, SseReader, startTestServer } from './test-server.fixture.ts'

// A busy machine is slow, not wrong.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 })

const PATH = '/v1/stream/deliveries'
const TEXT = { 'content-type': 'text/plain' }
const JSON_TYPE = { 'content-type': 'application/json' }
const CLOSE = { 'stream-closed': 'true' }
const PATIENCE = { timeout: 20_000, interval: 5 }
const MIB = 1024 * 1024

function dataOf(events: readonly SseEvent[]): readonly string[] {
  return events.filter(({ kind }) => kind === 'data').map(({ data }) => data)
}

function offsetsOf(events: readonly SseEvent[]): readonly string[] {
  return events
    .filter(({ kind }) => kind === 'control')
    .map(({ data }) => /"streamNextOffset":"([^"]+)"/.exec(data)?.[1] ?? '')
}

describe.each(ADAPTERS)('over %s', (adapter) => {
  test('R-194, R-206: a JSON batch of several MiB arrives complete, in several events', async () => {
    const server = await startTestServer()
    const messages = Array.from({ length: 90_000 }, (_, index) => ({
      index,
      text: `${'é'.repeat(40)}${index}`,
    }))
    const send = server.via(adapter)
    await send('PUT', PATH, { headers: JSON_TYPE })
    const reader = await server.openSse(`${PATH}?offset=-1&live=sse`, adapter)
    await send('POST', PATH, { headers: { ...JSON_TYPE, ...CLOSE }, body: JSON.stringify(messages) })

    const events = await reader.rest()
    const received = dataOf(events).flatMap((data) => JSON.parse(data))
    const offsets = offsetsOf(events)
    await server.close()

    expect(received).toEqual(messages)
    expect(dataOf(events).length).toBeGreaterThan(1)
    expect(offsets).toEqual([...new Set(offsets)].sort())
    expect(events.at(-1)?.data).toContain('"streamClosed":true')
  })

  test('one message that is larger than a chunk arrives in one event', async () => {
    const server = await startTestServer({ limits: { followChunkBytes: 64 * 1024 } })
    const send = server.via(adapter)
    const large = 'x'.repeat(2 * MIB)
    const headers = { ...JSON_TYPE, ...CLOSE }
    await send('PUT', PATH, { headers, body: JSON.stringify(['before', large, 'after']) })

    const reader = await server.openSse(`${PATH}?offset=-1&live=sse`, adapter)
    const received = dataOf(await reader.rest()).flatMap((data) => JSON.parse(data))
    await server.close()

    expect(received.map((text) => String(text).length)).toEqual([6, 2 * MIB, 5])
    expect(received[1] === large).toBe(true)
  })

  test('500 readers of one stream each get every event exactly once, in order', async () => {
    const server = await startTestServer({ sseReconnectIntervalMs: 0 })
    const send = server.via(adapter)
    await send('PUT', PATH, { headers: JSON_TYPE, body: '[0]' })
    const url = `${PATH}?offset=-1&live=sse`
    const readers = await Promise.all(Array.from({ length: 500 }, () => server.openSse(url, adapter)))
    const count = 60
    for (let i = 1; i < count; i++) await send('POST', PATH, { headers: JSON_TYPE, body: String(i) })
    await send('POST', PATH, { headers: CLOSE })

    const seen = await Promise.all(readers.map((reader) => reader.rest()))
    const endings = await Promise.all(readers.map((reader) => reader.ended))
    const left = server.server.statistics()?.readers
    await server.close()

    const messages = seen.map((events) => dataOf(events).join('').replaceAll('][', ',').replaceAll('\n', ''))
    expect(new Set(messages)).toEqual(new Set([JSON.stringify(Array.from({ length: count }, (_, i) => i))]))
    expect(seen.filter((events) => !isGrowing(offsetsOf(events)))).toEqual([])
    expect(new Set(endings)).toEqual(new Set(['complete']))
    expect(left).toBe(0)
  })
})

/** Strictly, but for the closing event, which is where the last data event was. */
function isGrowing(offsets: readonly string[]): boolean {
  return offsets.slice(1, -1).every((offset, at) => offset > (offsets[at] ?? ''))
}

describe('a reader over node that does not read', () => {
  let handler: MillraceHandler
  let server: Server
  let port: number
  /** The response to the reader. */
  let live: ServerResponse | undefined

  beforeEach(async () => {
    handler = createHandler({
      storage: memoryStorage(),
      sseReconnectIntervalMs: 0,
      limits: { followChunkBytes: 256 * 1024 },
    })
    server = createServer((incoming, response) => {
      if (incoming.url?.includes('live=sse')) live = response
      handler.node(incoming, response)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    port = typeof address === 'object' && address !== null ? address.port : 0
  })

  afterEach(async () => {
    live = undefined
    handler.drain()
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
    await handler.close()
  })

  async function write(method: string, headers: Record<string, string>, body: string): Promise<number> {
    const url = `http://127.0.0.1:${port}${PATH}`
    const response = await fetch(url, { method, headers, ...(body !== '' && { body }) })
    await response.arrayBuffer()
    return response.status
  }

  /** Connects, and leaves everything that comes in the socket. */
  function openUnread(): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const target = { host: '127.0.0.1', port, agent: false, path: `${PATH}?offset=-1&live=sse` }
      request(target, resolve).on('error', reject).end()
    })
  }

  function part(index: number): string {
    return `${index}:${'x'.repeat(256 * 1024)}\n`
  }

  test('of a fast stream costs the server little memory, and is served completely later', async () => {
    const count = 100
    await write('PUT', TEXT, '')
    const incoming = await openUnread()
    let mostBuffered = 0
    for (let i = 0; i < count; i++) {
      await write('POST', TEXT, part(i))
      mostBuffered = Math.max(mostBuffered, live?.writableLength ?? Number.POSITIVE_INFINITY)
    }
    await write('POST', CLOSE, '')
    mostBuffered = Math.max(mostBuffered, live?.writableLength ?? Number.POSITIVE_INFINITY)

    const reader = new SseReader(200, new Headers(), incoming, () => incoming.destroy())
    const text = dataOf(await reader.rest()).join('')

    expect(mostBuffered).toBeGreaterThan(0)
    expect(mostBuffered).toBeLessThan(2 * MIB)
    expect(text.length).toBe(Array.from({ length: count }, (_, i) => part(i).length).reduce((a, b) => a + b))
    expect(text === Array.from({ length: count }, (_, i) => part(i)).join('')).toBe(true)
    expect(await reader.ended).toBe('complete')
    expect(handler.statistics()?.readers).toBe(0)
  })

  test('does not hold up the readers beside it', async () => {
    await write('PUT', TEXT, '')
    const incoming = await openUnread()
    const beside = await fetch(`http://127.0.0.1:${port}${PATH}?offset=-1&live=sse`)
    const receiving = beside.text()
    for (let i = 0; i < 40; i++) await write('POST', TEXT, part(i))
    await write('POST', CLOSE, '')

    const received = await receiving

    expect(received).toContain('"streamClosed":true')
    expect(received).toContain('data:39:xxx')
    expect(handler.statistics()?.readers).toBe(1)
    incoming.destroy()
    await vi.waitUntil(() => handler.statistics()?.readers === 0, PATIENCE)
  })
})
