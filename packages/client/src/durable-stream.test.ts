import { describe, expect, it } from 'vitest'
import { DurableStream } from './durable-stream.ts'
import {
  DurableStreamError,
  FetchError,
  InvalidSignalError,
  MissingStreamUrlError,
  StreamClosedError,
} from './errors.ts'
import type { DurableStreamOptions } from './handle-options.ts'
import { answers, quiet, type Script, ScriptedFetch } from './write-script.fixture.ts'

const url = 'http://127.0.0.1:1/v1/stream/orders'
const json = { contentType: 'application/json' }
const text = { contentType: 'text/plain' }
const fast = { initialDelay: 0, maxDelay: 0 }

function handle(script: Script, options: Partial<DurableStreamOptions> = {}) {
  const net = new ScriptedFetch(script)
  return { net, stream: new DurableStream({ url, fetch: net.fetch, backoffOptions: fast, ...options }) }
}

/** What a promise was rejected with. */
function rejection(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => 'resolved',
    (error) => error,
  )
}

describe('a handle', () => {
  it('(C-100) checks its options and makes no request', async () => {
    expect(() => new DurableStream({ url: '' })).toThrow(MissingStreamUrlError)
    expect(() => new DurableStream({} as DurableStreamOptions)).toThrow(MissingStreamUrlError)
    expect(() => new DurableStream({ url, signal: {} as AbortSignal })).toThrow(InvalidSignalError)
    expect(() => new DurableStream({ url: '/relative' })).toThrow(TypeError)
    const { net, stream } = handle(() => answers.ok(), json)
    expect(stream.url).toBe(url)
    expect(stream.contentType).toBe('application/json')
    await quiet()
    expect(net.requests).toEqual([])
  })

  it('(C-117) sends its params and headers with every verb, evaluated anew each time', async () => {
    let calls = 0
    const options = {
      ...json,
      headers: { 'x-call': () => String(++calls) },
      params: { tenant: 'a', skip: undefined },
    }
    const { net, stream } = handle(() => answers.ok(), options)
    await stream.create()
    await stream.head()
    await stream.append(1)
    await stream.close()
    await stream.delete()
    expect(net.requests.map(({ method }) => method)).toEqual(['PUT', 'HEAD', 'POST', 'POST', 'DELETE'])
    expect(net.requests.map(({ headers }) => headers.get('x-call'))).toEqual(['1', '2', '3', '4', '5'])
    expect(new Set(net.requests.map((request) => request.url))).toEqual(new Set([`${url}?tenant=a`]))
  })

  it('(C-117) evaluates headers anew for a retry', async () => {
    let calls = 0
    const script: Script = (_, index) => (index === 0 ? answers.status(503) : answers.ok())
    const { net, stream } = handle(script, { ...json, headers: { 'x-call': () => String(++calls) } })
    await stream.append(1)
    expect(net.requests.map(({ headers }) => headers.get('x-call'))).toEqual(['1', '2'])
  })
})

describe('create', () => {
  it.each([200, 201])('(C-101) resolves for %i and learns the content type', async (status) => {
    const { net, stream } = handle(
      () => new Response(null, { status, headers: { 'content-type': 'application/json' } }),
    )
    await stream.create({ ...json, ttlSeconds: 0, closed: true })
    expect(stream.contentType).toBe('application/json')
    const { method, headers, body } = net.requests[0] ?? {}
    expect([method, body]).toEqual(['PUT', ''])
    expect(headers?.get('stream-ttl')).toBe('0')
    expect(headers?.get('stream-closed')).toBe('true')
    expect(headers?.get('content-type')).toBe('application/json')
  })

  it('(C-101) rejects with CONFLICT_EXISTS when the stream is another', async () => {
    const { stream } = handle(() => answers.status(409), json)
    await expect(stream.create()).rejects.toMatchObject({ code: 'CONFLICT_EXISTS', status: 409 })
  })

  it.each<[string, unknown, string]>([
    ['text', 'plain', 'plain'],
    ['bytes', new TextEncoder().encode('bytes'), 'bytes'],
    ['a buffer', new TextEncoder().encode('buffer').buffer, 'buffer'],
    ['a blob', new Blob(['blob']), 'blob'],
    ['a value', { a: 1 }, '{"a":1}'],
    ['a stream', new Blob(['streamed']).stream(), 'streamed'],
  ])('(C-101) sends %s as its body', async (_, body, expected) => {
    const { net, stream } = handle(() => answers.ok(), text)
    await stream.create({ body })
    expect(net.bodies).toEqual([expected])
  })

  it('(C-101) sends an expiry, and a last message with the end of the stream', async () => {
    const { net, stream } = handle(() => answers.ok(), json)
    await stream.create({ expiresAt: '2030-01-01T00:00:00Z', closed: true, body: { only: 1 } })
    await stream.create({ closed: false })
    const fields = net.requests.map(({ headers, body }) => [
      headers.get('stream-expires-at'),
      headers.get('stream-ttl'),
      headers.get('stream-closed'),
      body,
    ])
    expect(fields).toEqual([
      ['2030-01-01T00:00:00Z', null, 'true', '{"only":1}'],
      [null, null, null, ''],
    ])
  })

  it('(C-102) sends an array as it is, where append makes it one message', async () => {
    const { net, stream } = handle(() => answers.ok(), json)
    await stream.create({ body: '[1,2]' })
    await stream.append('[1,2]')
    expect(net.bodies).toEqual(['[1,2]', '[[1,2]]'])
  })

  it('(C-118) sends the fork fields on the PUT only', async () => {
    const { net, stream } = handle(() => answers.ok(), json)
    await stream.create({ forkedFrom: '/v1/stream/a', forkOffset: '0_5', forkSubOffset: 2 })
    await stream.append(1)
    const fields = net.requests.map(({ headers }) => [
      headers.get('stream-forked-from'),
      headers.get('stream-fork-offset'),
      headers.get('stream-fork-sub-offset'),
    ])
    expect(fields).toEqual([
      ['/v1/stream/a', '0_5', '2'],
      [null, null, null],
    ])
  })
})

it('(C-118) forks by headers of a handle, too; another handle does not send them', async () => {
  const net = new ScriptedFetch(() => answers.ok('0_5', { 'content-type': 'application/json' }))
  const forkedFrom = { 'Stream-Forked-From': '/v1/stream/a', 'Stream-Fork-Offset': '0_5' }
  const fork = await DurableStream.create({ url, fetch: net.fetch, headers: forkedFrom })
  expect(fork.contentType).toBe('application/json')
  await new DurableStream({ url, fetch: net.fetch, contentType: fork.contentType }).append(1)
  const [put, post] = net.requests.map(({ headers }) => Object.fromEntries(headers))
  expect(put).toEqual({ 'stream-forked-from': '/v1/stream/a', 'stream-fork-offset': '0_5' })
  expect(post).not.toHaveProperty('stream-forked-from')
})

describe('head and connect', () => {
  it.each<[string, Response | Error]>([
    ['500', answers.status(500)],
    ['503', answers.status(503)],
    ['429', answers.status(429)],
    ['a network error', new TypeError('fetch failed')],
  ])('(C-080, C-104) head makes one attempt: %s', async (_, trouble) => {
    const { net, stream } = handle(() => trouble)
    await expect(stream.head()).rejects.toThrow()
    expect(net.requests).toHaveLength(1)
  })

  it.each([200, 404, 503])('(C-104) no body is read, that of a %i neither', async (status) => {
    let reads = 0
    const source = {
      pull: (controller: ReadableStreamDefaultController): void => {
        reads++
        controller.close()
      },
    }
    const answer = () => new Response(new ReadableStream(source, { highWaterMark: 0 }), { status })
    await rejection(handle(answer).stream.head())
    await rejection(DurableStream.connect({ url, fetch: async () => answer() }))
    expect(reads).toBe(0)
  })

  it('(C-104) reports everything that the server says, in one attempt', async () => {
    const { net, stream } = handle(() =>
      answers.ok('0_7', {
        'content-type': 'text/plain',
        etag: '"e"',
        'cache-control': 'no-store',
        'stream-closed': 'TRUE',
        'stream-ttl': '60',
        'stream-expires-at': '2030-01-01T00:00:00Z',
      }),
    )
    expect(await stream.head()).toEqual({
      exists: true,
      contentType: 'text/plain',
      offset: '0_7',
      etag: '"e"',
      cacheControl: 'no-store',
      streamClosed: true,
      ttlSeconds: 60,
      expiresAt: '2030-01-01T00:00:00Z',
    })
    expect(stream.contentType).toBe('text/plain')
    net.become(() => answers.status(404))
    expect(await stream.head()).toEqual({ exists: false })
    net.become(() => answers.status(503))
    await expect(stream.head()).rejects.toMatchObject({ code: 'BUSY', status: 503 })
    expect(net.requests).toHaveLength(3)
  })

  it('(C-103) connect rejects with NOT_FOUND, and names the URL', async () => {
    const net = new ScriptedFetch(() => answers.status(404))
    const error = await rejection(DurableStream.connect({ url, fetch: net.fetch }))
    expect(error).toBeInstanceOf(DurableStreamError)
    expect(error).toMatchObject({
      code: 'NOT_FOUND',
      status: 404,
      message: expect.stringContaining('/orders'),
    })
  })

  it('(C-103) connect gives a handle that knows the content type', async () => {
    const net = new ScriptedFetch(() => answers.ok('0_0', { 'content-type': 'application/json' }))
    const connected = await DurableStream.connect({ url, fetch: net.fetch })
    expect(connected.contentType).toBe('application/json')
  })
})

describe('append', () => {
  it.each<[unknown, string]>([
    [{ a: 1 }, '[{"a":1}]'],
    [[1, 2], '[[1,2]]'],
    [7, '[7]'],
    [false, '[false]'],
    [null, '[null]'],
    ['{"raw":true}', '[{"raw":true}]'],
    [new TextEncoder().encode('{"bytes":1}'), '[{"bytes":1}]'],
  ])('(C-105) of %j to a JSON stream', async (value, expected) => {
    const { net, stream } = handle(() => answers.ok(), { contentType: 'Application/JSON; charset=utf-8' })
    await stream.append(value)
    expect(net.bodies).toEqual([expected])
  })

  it.each<[string, DurableStreamOptions['contentType'], unknown]>([
    ['an object to a text stream', 'text/plain', { a: 1 }],
    ['undefined', 'application/json', undefined],
    ['a function', 'application/json', () => 1],
    ['an empty string', 'application/json', ''],
    ['bytes that are not UTF-8', 'application/json', new Uint8Array([0xff])],
    ['a value without end', 'application/json', 1n],
  ])('(C-105) refuses %s without a request', async (_, contentType, value) => {
    const { net, stream } = handle(() => answers.ok(), { contentType })
    await expect(stream.append(value)).rejects.toMatchObject({ code: 'BAD_REQUEST' })
    expect(net.requests).toEqual([])
  })

  it('(C-106) makes two requests of ten messages, in order', async () => {
    const { net, stream } = handle(() => answers.ok(), json)
    await Promise.all(Array.from({ length: 10 }, (_, n) => stream.append(n, { seq: `s${n}` })))
    expect(net.bodies).toEqual(['[0]', '[1,2,3,4,5,6,7,8,9]'])
    expect(net.requests.map(({ headers }) => headers.get('stream-seq'))).toEqual(['s0', 's9'])
  })

  it('(C-106) joins strings and bytes', async () => {
    const { net, stream } = handle(() => answers.ok(), text)
    await Promise.all(['a', 'b', new TextEncoder().encode('c'), 'd'].map((part) => stream.append(part)))
    expect(net.bodies).toEqual(['a', 'bcd'])
  })

  it('(C-106) splits what is too large for one request', async () => {
    const { net, stream } = handle(() => answers.ok(), text)
    const large = 'x'.repeat(700_000)
    await Promise.all([stream.append('first'), stream.append(large), stream.append(large)])
    expect(net.bodies.map(({ length }) => length)).toEqual([5, 700_000, 700_000])
  })

  it('(C-107) fails what waits behind a failed request, and works again after it', async () => {
    const { net, stream } = handle((_, index) => (index === 0 ? answers.status(404) : answers.ok()), json)
    const outcomes = await Promise.all([1, 2, 3].map((n) => rejection(stream.append(n))))
    expect(outcomes).toEqual([1, 2, 3].map(() => expect.objectContaining({ code: 'NOT_FOUND' })))
    await stream.append(4)
    expect(net.bodies).toEqual(['[1]', '[4]'])
  })

  it('(C-108) makes a request of each message without batching', async () => {
    const { net, stream } = handle(() => answers.ok(), { ...json, batching: false })
    await Promise.all([1, 2, 3].map((n) => stream.append(n)))
    expect(net.bodies).toEqual(['[1]', '[2]', '[3]'])
  })

  it('(C-109) awaits a promise, and sends nothing when it rejects', async () => {
    const { net, stream } = handle(() => answers.ok(), json)
    await stream.append(Promise.resolve({ a: 1 }))
    await expect(stream.append(Promise.reject(new Error('no body')))).rejects.toThrow('no body')
    expect(net.bodies).toEqual(['[{"a":1}]'])
  })

  it('asks for the content type once when nobody said it', async () => {
    const { net, stream } = handle(({ method }) =>
      method === 'HEAD' ? answers.ok('0_0', { 'content-type': 'application/json' }) : answers.ok(),
    )
    await Promise.all([stream.append({ a: 1 }), stream.append({ a: 2 })])
    expect(net.requests.map(({ method, body }) => `${method} ${body}`)).toEqual([
      'HEAD ',
      'POST [{"a":1}]',
      'POST [{"a":2}]',
    ])
    expect(net.requests[1]?.headers.get('content-type')).toBe('application/json')
  })

  it('(C-111) to a closed stream is refused with all three classes', async () => {
    const { stream } = handle(() => answers.closed('0_9'), json)
    const error = await rejection(stream.append(1))
    expect(error).toBeInstanceOf(FetchError)
    expect(error).toBeInstanceOf(DurableStreamError)
    expect(error).toBeInstanceOf(StreamClosedError)
    expect(error).toMatchObject({ code: 'STREAM_CLOSED', status: 409, finalOffset: '0_9' })
  })

  it.each([
    [400, 'BAD_REQUEST'],
    [404, 'NOT_FOUND'],
    [409, 'CONFLICT_SEQ'],
    [410, 'GONE'],
  ])('(C-112, C-118) answered %i rejects with %s and the URL', async (status, code) => {
    const { stream } = handle(() => answers.status(status), json)
    const error = await rejection(stream.append(1))
    expect(error).toMatchObject({ status, code, message: expect.stringContaining('/v1/stream/orders') })
  })

  it('(C-119) with producer fields is a request of its own', async () => {
    const { net, stream } = handle(() => answers.ok(), json)
    const numbered = { producerId: 'p', producerEpoch: 2, producerSeq: 0 }
    await Promise.all([
      stream.append(0),
      stream.append(1),
      stream.append(2, numbered),
      stream.append(3, { ...numbered, producerSeq: 1 }),
      stream.append(4),
      stream.append(5),
    ])
    expect(net.bodies).toEqual(['[0]', '[1]', '[2]', '[3]', '[4,5]'])
    expect(net.numbers).toEqual(['null/null', 'null/null', '2/0', '2/1', 'null/null'])
    expect(net.requests[2]?.headers.get('producer-id')).toBe('p')
  })

  it('drops only the message whose signal aborts while it waits', async () => {
    const { net, stream } = handle(() => undefined, json)
    const controller = new AbortController()
    const first = stream.append(1)
    const dropped = rejection(stream.append(2, { signal: controller.signal }))
    const last = stream.append(3)
    await net.arrived(1)
    controller.abort()
    expect(await dropped).toMatchObject({ name: 'FetchBackoffAbortError' })
    net.become(() => answers.ok())
    net.requests[0]?.respond(answers.ok())
    await Promise.all([first, last])
    expect(net.bodies).toEqual(['[1]', '[3]'])
  })

  it('does not see what happens to the bytes after the call', async () => {
    const { net, stream } = handle(() => answers.ok(), text)
    const bytes = new TextEncoder().encode('abc')
    const stored = stream.append(bytes)
    bytes.fill(120)
    await stored
    expect(net.bodies).toEqual(['abc'])
  })
})

describe('close and delete', () => {
  it('(C-110) closes after everything appended before', async () => {
    const { net, stream } = handle(() => answers.ok('0_3'), json)
    const appends = [stream.append(1), stream.append(2), stream.append(Promise.resolve(3))]
    expect(await stream.close()).toEqual({ finalOffset: '0_3' })
    await Promise.all(appends)
    expect(net.bodies.at(-1)).toBe('')
    expect(net.bodies.slice(0, -1).join('')).toBe('[1][2,3]')
    expect(net.requests.at(-1)?.headers.get('stream-closed')).toBe('true')
  })

  it('(C-110) waits for unordered appends, too', async () => {
    const { net, stream } = handle(() => undefined, { ...json, batching: false })
    const append = stream.append(1)
    const closed = stream.close()
    await net.arrived(1)
    await quiet()
    expect(net.requests).toHaveLength(1)
    net.become(() => answers.ok('0_1'))
    net.requests[0]?.respond(answers.ok())
    await append
    expect(await closed).toEqual({ finalOffset: '0_1' })
  })

  it.each<[unknown, string]>([
    [undefined, ''],
    ['', ''],
    ['{"a":1}', '[{"a":1}]'],
    [{ a: 1 }, '[{"a":1}]'],
  ])('(C-110) with the last message %j', async (body, expected) => {
    const { net, stream } = handle(() => answers.ok(), json)
    await stream.close({ body })
    expect(net.bodies).toEqual([expected])
  })

  it('(C-110) with a message on a closed stream rejects and says where it ends', async () => {
    const { stream } = handle(() => answers.closed('0_9'), json)
    const error = await rejection(stream.close({ body: { late: true } }))
    expect(error).toBeInstanceOf(StreamClosedError)
    expect(error).toMatchObject({ finalOffset: '0_9' })
  })

  it('(C-113) delete rejects with NOT_FOUND when there is none', async () => {
    const { net, stream } = handle((_, index) => (index === 0 ? answers.ok() : answers.status(404)))
    await stream.delete()
    await expect(stream.delete()).rejects.toMatchObject({ code: 'NOT_FOUND' })
    expect(net.requests.map(({ method }) => method)).toEqual(['DELETE', 'DELETE'])
  })
})

describe('stream', () => {
  it('(C-116) merges headers and params, and passes every option on', async () => {
    const own = new ScriptedFetch(() => answers.ok())
    const { stream } = handle(() => answers.ok(), {
      headers: { 'X-Tenant': 'handle', 'x-kept': 'kept' },
      params: { tenant: 'handle', kept: 'kept' },
    })
    const response = await stream.stream({
      headers: { 'x-tenant': 'call' },
      params: { tenant: 'call' },
      fetch: own.fetch,
      offset: '0_5',
      live: false,
    })
    const [request] = own.requests
    const query = Object.fromEntries(new URL(request?.url ?? url).searchParams)
    expect(query).toEqual({ tenant: 'call', kept: 'kept', offset: '0_5' })
    expect(request?.headers.get('x-tenant')).toBe('call')
    expect(request?.headers.get('x-kept')).toBe('kept')
    response.cancel()
  })

  it('(C-116) an option of the call wins over that of the handle', async () => {
    const own = new ScriptedFetch((_, index) => {
      if (index < 2) return answers.status(503)
      return new Response('[1]', { headers: { 'content-type': 'text/plain', 'stream-up-to-date': 'true' } })
    })
    const asked: string[] = []
    const { net, stream } = handle(() => answers.ok(), {
      backoffOptions: { maxRetries: 0 },
      onError: () => void asked.push('handle'),
      signal: AbortSignal.abort(),
    })
    const response = await stream.stream({
      fetch: own.fetch,
      live: false,
      json: true,
      backoffOptions: { initialDelay: 0, maxRetries: 1 },
      signal: new AbortController().signal,
      onError: () => {
        asked.push('call')
        return {}
      },
    })
    expect(response.live).toBe(false)
    expect(await response.json()).toEqual([1])
    expect(asked).toEqual(['call'])
    expect([own.requests.length, net.requests.length]).toEqual([3, 0])
  })

  it("(C-116) uses the handle's fetch, back-off and error handler where the call has none", async () => {
    const { net, stream } = handle((_, index) => answers.status(index === 0 ? 503 : 401), {
      backoffOptions: { initialDelay: 0, maxRetries: 1 },
      onError: () => {
        net.become(() => answers.ok())
        return { headers: { authorization: 'fresh' } }
      },
    })
    const response = await stream.stream({ live: false })
    expect(net.requests.map(({ headers }) => headers.get('authorization'))).toEqual([null, null, 'fresh'])
    response.cancel()
  })
})
