/** Request bodies: how large, how framed, how encoded, and what becomes of those that do not arrive completely. */
import { afterAll, describe, expect, it } from 'vitest'
import { ADAPTERS, rawExchange, startTestServer } from './test-server.fixture.ts'

const LIMIT_BYTES = 1000
const server = await startTestServer({ maxBodyBytes: LIMIT_BYTES })
afterAll(() => server.close())

const ROOT = '/v1/stream'
const TEXT = { 'content-type': 'text/plain' }
const HOST = 'Host: localhost\r\nContent-Type: text/plain\r\n'
const CLOSE = 'Connection: close\r\n'

async function contentOf(path: string): Promise<string> {
  const reply = await server.request('GET', path)
  return reply.status === 200 ? reply.text : String(reply.status)
}

/** A chunked body of these pieces. */
function chunked(...pieces: readonly string[]): readonly string[] {
  return [...pieces.map((piece) => `${piece.length.toString(16)}\r\n${piece}\r\n`), '0\r\n\r\n']
}

function bodyOf(...pieces: readonly string[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (const piece of pieces) controller.enqueue(Buffer.from(piece))
      controller.close()
    },
  })
}

/** A `Request` whose body comes in pieces, without a length said in advance. */
function streamed(method: string, path: string, body: ReadableStream<Uint8Array>): Promise<Response> {
  const init = { method, headers: TEXT, body, duplex: 'half' } as const
  return server.server.handler.fetch(new Request(server.url + path, init))
}

describe.each(ADAPTERS)('%s adapter: bodies at the limit', (adapter) => {
  const request = server.via(adapter)
  const path = `${ROOT}/limit-${adapter}`
  const large = 'x'.repeat(LIMIT_BYTES + 1)
  const lengths = [{}, { 'content-length': String(large.length) }]

  it.each(lengths)(
    'R-022: refuses a larger body of PUT with 413 and creates nothing (%j)',
    async (length) => {
      const reply = await request('PUT', `${path}/put`, { headers: { ...TEXT, ...length }, body: large })
      expect(reply.status).toBe(413)
      expect(reply.json()).toMatchObject({ status: 413, code: 'PAYLOAD_TOO_LARGE' })
      expect(await contentOf(`${path}/put`)).toBe('404')
    },
  )

  it.each(lengths)(
    'R-022: refuses a larger body of POST with 413 and appends nothing (%j)',
    async (length) => {
      await request('PUT', `${path}/post`, { headers: TEXT, body: 'kept' })
      const headers = { ...TEXT, ...length, 'stream-closed': 'true' }
      const reply = await request('POST', `${path}/post`, { headers, body: large })
      expect(reply.status).toBe(413)
      expect(reply.json()).toMatchObject({ status: 413, code: 'PAYLOAD_TOO_LARGE' })
      const head = await request('HEAD', `${path}/post`)
      expect(head.headers.get('stream-closed')).toBeNull()
      expect(await contentOf(`${path}/post`)).toBe('kept')
    },
  )

  it('R-022: takes a body of exactly the limit', async () => {
    const body = 'y'.repeat(LIMIT_BYTES)
    const created = await request('PUT', `${path}/exact`, { headers: TEXT, body })
    const appended = await request('POST', `${path}/exact`, { headers: TEXT, body })
    expect([created.status, appended.status]).toEqual([201, 204])
    expect(await contentOf(`${path}/exact`)).toBe(body + body)
  })

  it('R-022: refuses a larger body on a stream that is missing, closed or of another type as well', async () => {
    await request('PUT', `${path}/closed`, { headers: { ...TEXT, 'stream-closed': 'true' } })
    const missing = await request('POST', `${path}/missing`, { headers: TEXT, body: large })
    const closed = await request('POST', `${path}/closed`, { headers: TEXT, body: large })
    expect([404, 413]).toContain(missing.status)
    expect([409, 413]).toContain(closed.status)
  })
})

describe('large bodies on one connection', () => {
  const large = 'x'.repeat(LIMIT_BYTES * 2)
  const next = `GET ${ROOT}/usable/kept HTTP/1.1\r\n${HOST}${CLOSE}\r\n`

  it.each([
    ['PUT', 'a length', [`Content-Length: ${large.length}\r\n\r\n`, large]],
    ['POST', 'a length', [`Content-Length: ${large.length}\r\n\r\n`, large]],
    ['PUT', 'chunks', ['Transfer-Encoding: chunked\r\n\r\n', ...chunked(large)]],
    ['POST', 'chunks', ['Transfer-Encoding: chunked\r\n\r\n', ...chunked(large.slice(1000), large)]],
  ])('R-022: leaves the connection usable after 413 to %s with %s', async (method, _, rest) => {
    await server.request('PUT', `${ROOT}/usable/kept`, { headers: TEXT, body: 'kept' })
    const head = `${method} ${ROOT}/usable/kept HTTP/1.1\r\n${HOST}`
    const { replies } = await rawExchange(server.port, [head, ...rest, next])
    expect(replies.map(({ status }) => status)).toEqual([413, 200])
    expect(replies[1]?.text).toBe('kept')
  })

  it('R-022: refuses what a client wants to send before it is sent', async () => {
    const head = `PUT ${ROOT}/expected HTTP/1.1\r\n${HOST}${CLOSE}Expect: 100-continue\r\n`
    const { replies } = await rawExchange(server.port, `${head}Content-Length: 99999999999\r\n\r\n`, {
      afterwards: 'end',
    })
    expect(replies.at(-1)?.status).toBe(413)
    expect(await contentOf(`${ROOT}/expected`)).toBe('404')
  })

  it('R-022: serves others while one sends without an end', async () => {
    const head = `PUT ${ROOT}/endless HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n`
    const pieces = Array.from({ length: 30 }, () => chunked(large)[0] ?? '')
    const [{ replies }, other] = await Promise.all([
      rawExchange(server.port, [head, ...pieces], { afterwards: 'end' }),
      server.request('PUT', `${ROOT}/endless/other`, { headers: TEXT, body: 'x' }),
    ])
    expect(replies[0]?.status).toBe(413)
    expect(other.status).toBe(201)
    expect(await contentOf(`${ROOT}/endless`)).toBe('404')
  })
})

describe('bodies that come in pieces', () => {
  const post = (path: string): string =>
    `POST ${path} HTTP/1.1\r\n${HOST}${CLOSE}Transfer-Encoding: chunked\r\n\r\n`

  it('R-023: takes a chunked body, however it is cut', async () => {
    const path = `${ROOT}/pieces/chunked`
    await server.request('PUT', path, { headers: TEXT })
    const whole = await rawExchange(server.port, post(path) + chunked('a', 'bc', 'def').join(''))
    const pieces = await rawExchange(server.port, [post(path), ...chunked('g', 'hi')])
    const bytes = await rawExchange(server.port, (post(path) + chunked('jk').join('')).split(''))
    expect([whole, pieces, bytes].map(({ replies }) => replies.map(({ status }) => status))).toEqual([
      [204],
      [204],
      [204],
    ])
    expect(await contentOf(path)).toBe('abcdefghijk')
  })

  it('R-023: takes chunk extensions and trailers, and leaves them out', async () => {
    const path = `${ROOT}/pieces/trailers`
    await server.request('PUT', path, { headers: TEXT })
    const body = '3;name="value"\r\nabc\r\n0\r\nStream-Closed: true\r\nProducer-Id: x\r\n\r\n'
    const { replies } = await rawExchange(server.port, post(path) + body)
    const head = await server.request('HEAD', path)
    expect([replies[0]?.status, head.headers.get('stream-closed')]).toEqual([204, null])
    expect(await contentOf(path)).toBe('abc')
  })

  it('R-023: creates a stream from a chunked body', async () => {
    const path = `${ROOT}/pieces/created`
    const { replies } = await rawExchange(server.port, [
      post(path).replace('POST', 'PUT'),
      ...chunked('first', 'second'),
    ])
    expect(replies[0]?.status).toBe(201)
    expect(await contentOf(path)).toBe('firstsecond')
  })

  it('R-023: takes a chunked body without bytes for an empty one', async () => {
    const path = `${ROOT}/pieces/empty`
    await server.request('PUT', path, { headers: TEXT })
    const refused = await rawExchange(server.port, post(path) + chunked().join(''))
    expect(refused.replies[0]?.json()).toMatchObject({ status: 400, code: 'EMPTY_BODY' })
    const head = post(path).replace('\r\n\r\n', '\r\nStream-Closed: true\r\n\r\n')
    const closed = await rawExchange(server.port, head + chunked().join(''))
    expect(closed.replies[0]?.status).toBe(204)
  })

  it('R-023: takes the body of a Request that comes in pieces', async () => {
    const path = `${ROOT}/pieces/request`
    const created = await streamed('PUT', path, bodyOf('ab', 'c'))
    const appended = await streamed('POST', path, bodyOf('d', '', 'ef'))
    const refused = await streamed('POST', path, bodyOf('x'.repeat(600), 'x'.repeat(600)))
    expect([created.status, appended.status, refused.status]).toEqual([201, 204, 413])
    expect(await contentOf(path)).toBe('abcdef')
  })

  it('refuses a transfer coding that it would not decode', async () => {
    const path = `${ROOT}/pieces/gzip`
    await server.request('PUT', path, { headers: TEXT, body: 'kept' })
    const head = post(path).replace('chunked', 'gzip, chunked')
    const { replies } = await rawExchange(server.port, head + chunked('\x1f\x8b').join(''))
    expect(await contentOf(path)).toBe('kept')
    expect([400, 415, 501]).toContain(replies[0]?.status)
  })
})

describe('bodies that break off', () => {
  const framings = [
    ['a length', 'Content-Length: 100\r\n\r\n', 'only this'],
    ['chunks', 'Transfer-Encoding: chunked\r\n\r\n', '9\r\nonly this\r\n'],
    ['part of a chunk', 'Transfer-Encoding: chunked\r\n\r\n', '64\r\nonly this'],
    ['chunks without the last', 'Transfer-Encoding: chunked\r\n\r\n', '4\r\nonly\r\n5\r\n this\r\n0\r\n'],
  ] as const

  it.each(framings)('R-023: stores nothing of a PUT that ends too soon: %s', async (name, fields, part) => {
    const path = `${ROOT}/broken-put/${encodeURIComponent(name)}`
    const head = `PUT ${path} HTTP/1.1\r\n${HOST}${fields}`
    await rawExchange(server.port, [head, part], { afterwards: 'leave' })
    const { replies } = await rawExchange(server.port, [head, part], { afterwards: 'end' })
    expect(replies.filter(({ status }) => status < 400)).toEqual([])
    expect(await contentOf(path)).toBe('404')
  })

  it.each(framings)('R-023: stores nothing of a POST that ends too soon: %s', async (name, fields, part) => {
    const path = `${ROOT}/broken-post/${encodeURIComponent(name)}`
    await server.request('PUT', path, { headers: TEXT, body: 'kept' })
    const producer = 'Producer-Id: p\r\nProducer-Epoch: 0\r\nProducer-Seq: 0\r\nStream-Seq: 9\r\n'
    const head = `POST ${path} HTTP/1.1\r\n${HOST}${producer}${fields}`
    await rawExchange(server.port, [head, part], { afterwards: 'leave' })
    const { replies } = await rawExchange(server.port, [head, part], { afterwards: 'end' })
    expect(replies.filter(({ status }) => status < 400)).toEqual([])
    expect(await contentOf(path)).toBe('kept')
    const headers = {
      ...TEXT,
      'producer-id': 'p',
      'producer-epoch': '0',
      'producer-seq': '0',
      'stream-seq': '9',
    }
    const retried = await server.request('POST', path, { headers, body: '!' })
    expect(retried.status).toBe(200)
    expect(await contentOf(path)).toBe('kept!')
  })

  it('R-023: stores nothing of a Request whose body fails', async () => {
    const path = `${ROOT}/broken-request`
    await server.request('PUT', path, { headers: TEXT, body: 'kept' })
    const failing = (): ReadableStream<Uint8Array> => {
      const parts = [Buffer.from('part')]
      return new ReadableStream({
        pull(controller) {
          const part = parts.pop()
          if (part === undefined) controller.error(new Error('the client went away'))
          else controller.enqueue(part)
        },
      })
    }
    const appended = await streamed('POST', path, failing())
    const created = await streamed('PUT', `${path}/new`, failing())
    expect([appended.status, created.status]).toEqual([400, 400])
    expect(await contentOf(path)).toBe('kept')
    expect(await contentOf(`${path}/new`)).toBe('404')
  })

  it('goes on without a failure of its own', async () => {
    const reply = await server.request('GET', '/readyz')
    expect([reply.status, server.errors]).toEqual([200, []])
  })
})

describe.each(ADAPTERS)('%s adapter: content codings', (adapter) => {
  const request = server.via(adapter)
  const path = `${ROOT}/codings-${adapter}`

  it.each(['gzip', 'br', 'zstd', 'deflate, gzip', 'x'])('refuses a body in %s with 415', async (coding) => {
    await request('PUT', path, { headers: TEXT, body: 'kept' })
    const headers = { ...TEXT, 'content-encoding': coding }
    const appended = await request('POST', path, { headers, body: '\x1f\x8b' })
    const created = await request('PUT', `${path}/new`, { headers, body: '\x1f\x8b' })
    expect([appended.status, created.status]).toEqual([415, 415])
    expect([await contentOf(path), await contentOf(`${path}/new`)]).toEqual(['kept', '404'])
  })

  it.each(['identity', 'Identity', ''])('takes a body in "%s" as it is', async (coding) => {
    const target = `${path}/plain/${coding === '' ? 'empty' : coding}`
    const headers = { ...TEXT, 'content-encoding': coding }
    const created = await request('PUT', target, { headers, body: 'as it is' })
    expect(created.status).toBe(201)
    expect(await contentOf(target)).toBe('as it is')
  })
})
