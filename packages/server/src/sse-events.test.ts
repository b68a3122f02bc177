import { connect } from 'node:net'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import {
  ADAPTERS,
  type Send,
  type SseEvent,
  type SseReader,
  startTestServer,
  type TestServer,
} from './test-server.fixture.ts'

// A busy machine is slow, not wrong.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 })

const PATH = '/v1/stream/events'
const TEXT = { 'content-type': 'text/plain' }
const JSON_TYPE = { 'content-type': 'application/json' }
const BINARY = { 'content-type': 'application/octet-stream' }
const CLOSE = { 'stream-closed': 'true' }

interface Control {
  readonly streamNextOffset: string
  readonly streamCursor?: string
  readonly upToDate?: boolean
  readonly streamClosed?: boolean
}

function control(event: SseEvent | undefined): Control {
  if (event?.kind !== 'control') throw new Error(`not a control event: ${event?.kind} ${event?.data}`)
  return JSON.parse(event.data)
}

function raw(event: SseEvent | undefined): string {
  return Buffer.from(event?.raw ?? []).toString('utf8')
}

function dataOf(events: readonly SseEvent[]): readonly string[] {
  return events.filter(({ kind }) => kind === 'data').map(({ data }) => data)
}

describe.each(ADAPTERS)('over %s', (adapter) => {
  let server: TestServer
  let send: Send

  beforeEach(async () => {
    server = await startTestServer({ limits: { chunkBytes: 16, followChunkBytes: 16 } })
    send = server.via(adapter)
  })

  afterEach(() => server.close())

  function follow(query: string): Promise<SseReader> {
    return server.openSse(`${PATH}?live=sse&${query}`, adapter)
  }

  /** The events of a stream that was closed, from its beginning to its end. */
  async function wholeStream(): Promise<readonly SseEvent[]> {
    return (await follow('offset=-1')).rest()
  }

  test('R-202: offset=now of a binary stream brings nothing from before', async () => {
    const created = await send('PUT', PATH, { headers: BINARY, body: Uint8Array.of(1, 2, 3) })
    const reader = await follow('offset=now')
    const [first] = await reader.take(1)
    await send('POST', PATH, { headers: { ...BINARY, ...CLOSE }, body: Uint8Array.of(254, 255) })

    const rest = await reader.rest()

    expect(reader.headers.get('stream-sse-data-encoding')).toBe('base64')
    expect(control(first)).toMatchObject({
      streamNextOffset: created.headers.get('stream-next-offset'),
      upToDate: true,
    })
    expect(rest.map(({ kind }) => kind)).toEqual(['data', 'control'])
    expect([...Buffer.from(rest[0]?.data ?? '', 'base64')]).toEqual([254, 255])
  })

  test.each([
    ['its tail', 'offset=0000000000000000_0000000000000003'],
    ['now', 'offset=now'],
  ])('R-207, R-204: at %s a closed stream is one control event and the end', async (_, query) => {
    await send('PUT', PATH, { headers: { ...TEXT, ...CLOSE }, body: 'abc' })

    const reader = await follow(query)
    const events = await reader.rest()

    expect(events.map(raw)).toEqual([
      'event: control\ndata:{"streamNextOffset":"0000000000000000_0000000000000003","upToDate":true,"streamClosed":true}\n\n',
    ])
    expect(await reader.ended).toBe('complete')
  })

  test('R-207: the head says that a closed stream is over when asked for now', async () => {
    await send('PUT', PATH, { headers: { ...TEXT, ...CLOSE }, body: 'abc' })

    const { headers } = await follow('offset=now')

    expect(headers.get('stream-closed')).toBe('true')
    expect(headers.get('stream-up-to-date')).toBe('true')
    expect(headers.get('stream-next-offset')).toBe('0000000000000000_0000000000000003')
  })

  test('R-207: upToDate also goes with the end after data, and after a close without data', async () => {
    await send('PUT', PATH, { headers: TEXT, body: 'abc' })
    const early = await follow('offset=now')
    await early.take(1)
    await send('POST', PATH, { headers: CLOSE })

    const late = await wholeStream()
    const live = await early.rest()

    expect(late.map(({ kind }) => kind)).toEqual(['data', 'control'])
    expect(live.map(({ kind }) => kind)).toEqual(['control'])
    expect(control(late[1])).toMatchObject({ upToDate: true, streamClosed: true })
    expect(control(live[0])).toMatchObject({ upToDate: true, streamClosed: true })
  })

  test.each([
    ['one space', ' a', 'data:  a'],
    ['two spaces', '  a', 'data:   a'],
    ['only a space', ' ', 'data:  '],
    ['spaces on every line', ' a\n  b\n c', 'data:  a\ndata:   b\ndata:  c'],
    ['spaces after CR and CRLF', ' a\r b\r\n c', 'data:  a\ndata:  b\ndata:  c'],
    ['a space before a colon', ' : x', 'data:  : x'],
    ['a tab', '\ta', 'data:\ta'],
    ['no space', 'a', 'data:a'],
    ['a colon', ':a', 'data::a'],
    ['a no-break space', '\u00a0a', 'data:\u00a0a'],
  ])('R-208: a line that starts with %s keeps what it starts with', async (_, text, lines) => {
    await send('PUT', PATH, { headers: { ...TEXT, ...CLOSE }, body: text })

    const [data] = await wholeStream()

    expect(raw(data)).toBe(`event: data\n${lines}\n\n`)
    expect(data?.data).toBe(text.replace(/\r\n?/g, '\n'))
  })

  test.each([
    ['LF', 'a\nb', 'data:a\ndata:b'],
    ['CR', 'a\rb', 'data:a\ndata:b'],
    ['CRLF', 'a\r\nb', 'data:a\ndata:b'],
    ['LF CR', 'a\n\rb', 'data:a\ndata:\ndata:b'],
    ['CR CR LF', 'a\r\r\nb', 'data:a\ndata:\ndata:b'],
    ['CRLF CRLF', 'a\r\n\r\nb', 'data:a\ndata:\ndata:b'],
    ['LF at the end', 'a\n', 'data:a\ndata:'],
    ['CRLF at the end', 'a\r\n', 'data:a\ndata:'],
    ['CR at the end', 'a\r', 'data:a\ndata:'],
    ['LF at the start', '\na', 'data:\ndata:a'],
    ['only LF', '\n', 'data:\ndata:'],
    ['only CRLF', '\r\n', 'data:\ndata:'],
    ['NEL, LS and PS', 'a\u0085b\u2028c\u2029', 'data:a\u0085b\u2028c\u2029'],
    ['NUL', 'a\u0000b', 'data:a\u0000b'],
    ['an event of its own', 'x\n\nevent: y', 'data:x\ndata:\ndata:event: y'],
  ])('R-191, R-192: text with %s is framed byte for byte', async (_, text, lines) => {
    await send('PUT', PATH, { headers: { ...TEXT, ...CLOSE }, body: text })

    const events = await wholeStream()

    expect(events.map(({ kind }) => kind)).toEqual(['data', 'control'])
    expect(raw(events[0])).toBe(`event: data\n${lines}\n\n`)
  })

  test('R-209: no border between events splits a character, wherever the chunk size falls', async () => {
    const text = '日本語のテキスト, ελληνικά, 😀😁😂🤣😃😄😅😆, plain ascii between, naïve café'
    await send('PUT', PATH, { headers: { ...TEXT, ...CLOSE }, body: text })

    const parts = dataOf(await wholeStream())

    expect(parts.length).toBeGreaterThan(4)
    expect(parts.join('')).toBe(text)
  })

  test('R-209: no border between events splits a CRLF', async () => {
    const lines = Array.from({ length: 30 }, (_, index) => 'x'.repeat(index % 7))
    await send('PUT', PATH, { headers: { ...TEXT, ...CLOSE }, body: lines.join('\r\n') })

    const parts = dataOf(await wholeStream())

    expect(parts.length).toBeGreaterThan(4)
    expect(parts.join('').split('\n')).toEqual(lines)
  })

  test('R-209: bytes that are no UTF-8 do not stop a reader of text', async () => {
    const bytes = Uint8Array.from({ length: 100 }, (_, index) => 0x80 + (index % 0x40))
    await send('PUT', PATH, { headers: { ...TEXT, ...CLOSE }, body: bytes })

    const events = await wholeStream()
    const data = events.filter(({ kind }) => kind === 'data').map((event) => event.raw)
    const payload = data.map((event) => event.subarray('event: data\ndata:'.length, -2))

    expect(Buffer.concat(payload)).toEqual(Buffer.from(bytes))
    expect(control(events.at(-1))).toMatchObject({ streamClosed: true })
  })

  test('R-196: each binary event is base64 by itself', async () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, index) => index)
    await send('PUT', PATH, { headers: BINARY, body: bytes.subarray(0, 100) })
    await send('POST', PATH, { headers: { ...BINARY, ...CLOSE }, body: bytes.subarray(100) })

    const parts = dataOf(await wholeStream())

    expect(parts.length).toBeGreaterThan(10)
    expect(parts.filter((part) => !/^(?:[A-Za-z0-9+/]{4})*(?:[\w+/]{2}==|[\w+/]{3}=)?$/.test(part))).toEqual(
      [],
    )
    expect(Buffer.concat(parts.map((part) => Buffer.from(part, 'base64')))).toEqual(Buffer.from(bytes))
  })

  test('R-187, R-193: each message of a JSON event has a line of its own', async () => {
    await send('PUT', PATH, { headers: { ...JSON_TYPE, ...CLOSE }, body: '[1, "b\\nc",\n [2]]' })

    const [data, end] = await wholeStream()

    expect(raw(data)).toBe('event: data\ndata:[1,\ndata:"b\\nc",\ndata:[2]]\n\n')
    expect(JSON.parse(data?.data ?? '')).toEqual([1, 'b\nc', [2]])
    expect(control(end)).toMatchObject({ streamClosed: true })
  })

  test('R-182, R-194: each data event is followed by its control event, with growing offsets', async () => {
    const messages = Array.from({ length: 100 }, (_, index) => index)
    await send('PUT', PATH, { headers: { ...JSON_TYPE, ...CLOSE }, body: JSON.stringify(messages) })

    const events = await wholeStream()
    const kinds = events.map(({ kind }) => kind)
    const controls = events.filter(({ kind }) => kind === 'control').map(control)
    const offsets = controls.map(({ streamNextOffset }) => streamNextOffset)

    expect(kinds).toEqual(kinds.map((_, index) => (index % 2 === 0 ? 'data' : 'control')))
    expect(dataOf(events).flatMap((data) => JSON.parse(data))).toEqual(messages)
    expect(offsets).toEqual([...new Set(offsets)].sort())
    expect(controls.map(({ upToDate }) => upToDate ?? false)).toEqual(
      controls.map((_, index) => index === controls.length - 1),
    )
  })

  test('R-195: a reader that comes back at any offset gets exactly what it has not seen', async () => {
    const messages = Array.from({ length: 40 }, (_, index) => index)
    await send('PUT', PATH, { headers: { ...JSON_TYPE, ...CLOSE }, body: JSON.stringify(messages) })
    const events = await wholeStream()
    const whole = dataOf(events)
    const offsets = events
      .filter(({ kind }) => kind === 'control')
      .map((event) => control(event).streamNextOffset)

    const resumed = await Promise.all(
      offsets.map(async (offset) => dataOf(await (await follow(`offset=${offset}`)).rest())),
    )

    expect(resumed.map((parts) => parts.flatMap((data) => JSON.parse(data)))).toEqual(
      offsets.map((_, at) => whole.slice(at + 1).flatMap((data) => JSON.parse(data))),
    )
  })

  test('R-212: a malformed offset is refused with 400', async () => {
    await send('PUT', PATH, { headers: TEXT, body: 'abc' })
    const offsets = ['', 'x', '-2', 'NOW', '-1%0A', '0_0', '0000000000000000_0000000000000004']

    const replies = await Promise.all(
      offsets.map((offset) => send('GET', `${PATH}?live=sse&offset=${offset}`)),
    )

    expect(replies.map((reply) => reply.status)).toEqual(offsets.map(() => 400))
    expect(replies.map((reply) => reply.headers.get('content-type'))).toEqual(
      offsets.map(() => 'application/problem+json'),
    )
  })

  test('R-212: a soft-deleted stream is refused with 410', async () => {
    await send('PUT', PATH, { headers: TEXT, body: 'abc' })
    await send('PUT', `${PATH}/fork`, { headers: { 'stream-forked-from': PATH } })
    await send('DELETE', PATH)

    const replies = await Promise.all(
      ['-1', 'now', 'x'].map((offset) => send('GET', `${PATH}?live=sse&offset=${offset}`)),
    )

    expect(replies.map((reply) => reply.status)).toEqual([410, 410, 410])
  })

  test('R-186: the cursors of one connection never go back', async () => {
    await send('PUT', PATH, { headers: TEXT, body: 'abc' })
    const ahead = Math.floor((Date.now() - Date.UTC(2024, 9, 9)) / 20_000) + 500
    const reader = await follow(`offset=-1&cursor=${ahead}`)
    await reader.take(2)
    await send('POST', PATH, { headers: TEXT, body: 'def' })
    const [, second] = await reader.take(2)
    await send('POST', PATH, { headers: TEXT, body: 'ghi' })

    const [, third] = await reader.take(2)

    const cursors = [second, third].map((event) => Number(control(event).streamCursor))
    expect(cursors[0]).toBeGreaterThan(ahead)
    expect(cursors[1]).toBeGreaterThanOrEqual(cursors[0] ?? Number.NaN)
  })
})

describe('on the wire', () => {
  let server: TestServer

  beforeEach(async () => {
    server = await startTestServer()
  })

  afterEach(() => server.close())

  /** Reads an SSE response from a bare socket, piece by piece as the server wrote it. */
  function openRaw(query: string): {
    readonly pieces: readonly string[]
    until(text: string): Promise<void>
  } {
    const pieces: string[] = []
    let look = (): void => undefined
    const socket = connect({ host: '127.0.0.1', port: server.port })
    socket.on('data', (bytes) => {
      pieces.push(bytes.toString('latin1'))
      look()
    })
    socket.on('error', () => undefined)
    socket.write(`GET ${PATH}?live=sse&${query} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
    return {
      pieces,
      until: (text) =>
        new Promise((resolve) => {
          look = () => {
            if (pieces.join('').includes(text)) resolve()
          }
          look()
        }),
    }
  }

  test('R-210: the head comes at once, also of an empty stream', async () => {
    await server.request('PUT', PATH, { headers: JSON_TYPE })

    const reader = await server.openSse(`${PATH}?offset=-1&live=sse`)
    const [first] = await reader.take(1)

    expect([reader.status, reader.headers.get('content-type')]).toEqual([200, 'text/event-stream'])
    expect(reader.headers.get('cache-control')).toBe('no-cache')
    expect(reader.headers.get('content-length')).toBeNull()
    expect(reader.headers.get('x-accel-buffering')).toBe('no')
    expect(control(first)).toMatchObject({ upToDate: true })
  })

  test('R-210: data and its control event are written together', async () => {
    await server.request('PUT', PATH, { headers: TEXT })
    const { pieces, until } = openRaw('offset=-1')
    await until('event: control')
    for (let i = 0; i < 20; i++) {
      await server.request('POST', PATH, { headers: TEXT, body: `<${i}>` })
      await until(`<${i}>`)
    }
    const withData = pieces.filter((piece) => piece.includes('event: data'))

    expect(withData.length).toBe(20)
    expect(withData.filter((piece) => !/event: data\n.*\n\nevent: control\n.*\n\n/s.test(piece))).toEqual([])
  })

  test('R-210: a backlog of many appends arrives in a few pieces', async () => {
    await server.request('PUT', PATH, { headers: TEXT })
    for (let i = 0; i < 200; i++) await server.request('POST', PATH, { headers: TEXT, body: `line ${i}\n` })

    const { pieces, until } = openRaw('offset=-1')
    await until('upToDate')

    expect(pieces.join('')).toContain('data:line 199\n')
    expect(pieces.length).toBeLessThanOrEqual(10)
  })
})
