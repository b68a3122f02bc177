/** Bytes that are not HTTP, or only nearly: refused or closed, and everybody else is served as before. */
import { connect } from 'node:net'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { membersOf, rawExchange, startTestServer } from './test-server.fixture.ts'

const server = await startTestServer()
afterAll(() => server.close())

const ROOT = '/v1/stream'
const PATH = `${ROOT}/kept`
const HOST = 'Host: localhost\r\n'
const TYPE = 'Content-Type: text/plain\r\n'
const CLOSE = 'Connection: close\r\n'
const POST = `POST ${PATH} HTTP/1.1\r\n${HOST}${TYPE}${CLOSE}`

await server.request('PUT', PATH, { headers: { 'content-type': 'text/plain' }, body: 'kept' })

/** Whatever a test sent, the stream is as it was and the server has nothing to complain about. */
afterEach(async () => {
  const read = await server.request('GET', PATH)
  expect([read.status, read.text, read.headers.get('stream-closed')]).toEqual([200, 'kept', null])
  expect(server.errors).toEqual([])
})

describe('what is not HTTP', () => {
  it.each([
    ['a line of words', 'hello server\r\n\r\n'],
    ['a TLS handshake', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n'],
    ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['zeros', '\0'.repeat(100)],
    ['every byte there is', String.fromCharCode(...Array.from({ length: 256 }, (_, byte) => byte))],
    ['JSON', '{"method":"GET"}\r\n\r\n'],
    ['no method', `${PATH} HTTP/1.1\r\n${HOST}\r\n`],
    ['a method in lower case', `get ${PATH} HTTP/1.1\r\n${HOST}\r\n`],
    ['an unknown method', `BREW ${PATH} HTTP/1.1\r\n${HOST}\r\n`],
    ['no target', `GET HTTP/1.1\r\n${HOST}\r\n`],
    ['two targets', `GET ${PATH} ${PATH} HTTP/1.1\r\n${HOST}\r\n`],
    ['a target with a space', `GET ${PATH} x HTTP/1.1\r\n${HOST}\r\n`],
    ['a target beyond ASCII', `GET ${PATH}\xe9 HTTP/1.1\r\n${HOST}\r\n`],
    ['a target with a control character', `GET ${PATH}\x01 HTTP/1.1\r\n${HOST}\r\n`],
    ['another protocol', `GET ${PATH} HTTQ/1.1\r\n${HOST}\r\n`],
    ['no such version', `GET ${PATH} HTTP/1.7\r\n${HOST}\r\n`],
    ['no version number', `GET ${PATH} HTTP/x.y\r\n${HOST}\r\n`],
    ['bare line feeds', `GET ${PATH} HTTP/1.1\nHost: localhost\n\n`],
    ['a header without a colon', `GET ${PATH} HTTP/1.1\r\n${HOST}Nonsense\r\n\r\n`],
    ['a header without a name', `GET ${PATH} HTTP/1.1\r\n${HOST}: value\r\n\r\n`],
    ['a space before the colon', `GET ${PATH} HTTP/1.1\r\n${HOST}Stream-Seq : 1\r\n\r\n`],
    ['a space in a header name', `GET ${PATH} HTTP/1.1\r\n${HOST}Stream Seq: 1\r\n\r\n`],
    ['a folded header', `GET ${PATH} HTTP/1.1\r\n${HOST}Stream-Seq: 1\r\n 2\r\n\r\n`],
    ['NUL in a header', `GET ${PATH} HTTP/1.1\r\n${HOST}Stream-Seq: 1\x002\r\n\r\n`],
    ['a bare carriage return in a header', `GET ${PATH} HTTP/1.1\r\n${HOST}Stream-Seq: 1\r2\r\n\r\n`],
    ['a letter beyond ASCII in a header name', `GET ${PATH} HTTP/1.1\r\n${HOST}Str\xe9am: 1\r\n\r\n`],
  ])('refuses %s with a problem document and closes', async (_, bytes) => {
    const { replies, text } = await rawExchange(server.port, bytes)
    expect(text).toMatch(/^HTTP\/1\.1 400 /)
    expect(replies).toHaveLength(1)
    expect(replies[0]?.headers.get('connection')).toBe('close')
    expect(replies[0]?.headers.get('content-type')).toBe('application/problem+json')
    expect(replies[0]?.headers.get('x-content-type-options')).toBe('nosniff')
    expect(replies[0]?.headers.get('cache-control')).toBe('no-store')
    expect([...membersOf(replies[0]?.json()).keys()]).toEqual(['type', 'title', 'status', 'code', 'detail'])
    expect(replies[0]?.json()).toMatchObject({
      status: 400,
      code: 'BAD_REQUEST',
      type: '/errors/bad-request',
    })
  })

  it('closes the connection of a CONNECT', async () => {
    const { text } = await rawExchange(server.port, `CONNECT localhost:80 HTTP/1.1\r\n${HOST}\r\n`)
    expect(text).toBe('')
  })
})

describe('heads that are too large', () => {
  it.each([
    ['one header', `GET ${PATH} HTTP/1.1\r\n${HOST}X: ${'x'.repeat(33_000)}\r\n\r\n`],
    ['many headers', `GET ${PATH} HTTP/1.1\r\n${HOST}${'Stream-Seq: 12345\r\n'.repeat(3000)}\r\n`],
    ['a header name', `GET ${PATH} HTTP/1.1\r\n${HOST}${'x'.repeat(33_000)}: 1\r\n\r\n`],
    ['a target', `GET ${PATH}/${'x'.repeat(33_000)} HTTP/1.1\r\n${HOST}\r\n`],
    ['a head without an end', `GET ${PATH} HTTP/1.1\r\n${HOST}${'A: b\r\n'.repeat(20_000)}`],
  ])('refuses %s with 431 and closes', async (_, bytes) => {
    const { replies } = await rawExchange(server.port, bytes)
    expect(replies[0]?.status).toBe(431)
    expect(replies[0]?.headers.get('content-type')).toBe('application/problem+json')
    expect(replies[0]?.json()).toMatchObject({ status: 431, code: 'HEADERS_TOO_LARGE' })
    expect(replies[0]?.headers.get('connection')).toBe('close')
  })

  it('refuses a URL of more than 8 KiB that the head has room for with 400', async () => {
    const bytes = `GET ${PATH}?x=${'x'.repeat(8200)} HTTP/1.1\r\n${HOST}${CLOSE}\r\n`
    const { replies } = await rawExchange(server.port, bytes)
    expect(replies[0]?.json()).toMatchObject({ status: 400, code: 'INVALID_STREAM_NAME' })
  })

  it('reads every header of a head with thousands of them', async () => {
    const path = `${ROOT}/thousands`
    const many = 'a:\r\n'.repeat(3000)
    const head = `PUT ${path} HTTP/1.1\r\n${HOST}${many}${TYPE}${CLOSE}Content-Length: 4\r\n\r\n`
    const { replies } = await rawExchange(server.port, `${head}body`)
    const read = await server.request('GET', path)
    expect([replies[0]?.status, read.text]).toEqual([201, 'body'])
  })
})

describe('framing that two readers could take differently', () => {
  it.each([
    ['both framings', 'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n', '1\r\nx\r\n0\r\n\r\n'],
    [
      'both, the other way round',
      'Transfer-Encoding: chunked\r\nContent-Length: 5\r\n',
      '1\r\nx\r\n0\r\n\r\n',
    ],
    ['two lengths that differ', 'Content-Length: 1\r\nContent-Length: 2\r\n', 'xx'],
    ['two lengths that agree', 'Content-Length: 1\r\nContent-Length: 1\r\n', 'x'],
    ['a list of lengths', 'Content-Length: 1, 1\r\n', 'x'],
    ['a length with a sign', 'Content-Length: +1\r\n', 'x'],
    ['a negative length', 'Content-Length: -1\r\n', 'x'],
    ['a length in hex', 'Content-Length: 0x1\r\n', 'x'],
    ['a length with a space in it', 'Content-Length: 1 1\r\n', 'x'],
    ['a length past all numbers', `Content-Length: ${'9'.repeat(40)}\r\n`, 'x'],
    ['a coding that is not chunked', 'Transfer-Encoding: gzip\r\n', 'x'],
    ['a coding after chunked', 'Transfer-Encoding: chunked, gzip\r\n', '1\r\nx\r\n0\r\n\r\n'],
    ['chunked twice', 'Transfer-Encoding: chunked, chunked\r\n', '1\r\nx\r\n0\r\n\r\n'],
    ['a misspelt coding', 'Transfer-Encoding: xchunked\r\n', '1\r\nx\r\n0\r\n\r\n'],
    ['a chunk size that is no number', 'Transfer-Encoding: chunked\r\n', 'z\r\nx\r\n0\r\n\r\n'],
    ['a chunk size with a sign', 'Transfer-Encoding: chunked\r\n', '-1\r\nx\r\n0\r\n\r\n'],
    ['a chunk size with a prefix', 'Transfer-Encoding: chunked\r\n', '0x1\r\nx\r\n0\r\n\r\n'],
    [
      'a chunk size past all numbers',
      'Transfer-Encoding: chunked\r\n',
      `${'f'.repeat(20)}\r\nx\r\n0\r\n\r\n`,
    ],
    ['a chunk longer than its size', 'Transfer-Encoding: chunked\r\n', '1\r\nxxx\r\n0\r\n\r\n'],
    ['a chunk without its line end', 'Transfer-Encoding: chunked\r\n', '1\r\nx0\r\n\r\n'],
    ['chunks ended by bare line feeds', 'Transfer-Encoding: chunked\r\n', '1\nx\n0\n\n'],
    ['an empty chunk size', 'Transfer-Encoding: chunked\r\n', '\r\nx\r\n0\r\n\r\n'],
  ])('refuses %s and stores nothing', async (_, fields, body) => {
    const next = `GET ${PATH}?smuggled HTTP/1.1\r\n${HOST}${CLOSE}\r\n`
    const { replies } = await rawExchange(server.port, `${POST}${fields}\r\n${body}${next}`)
    expect(replies).toHaveLength(1)
    // A coding is refused for what it is where the head is complete before the parser gives up.
    expect([400, 415]).toContain(replies[0]?.status)
    expect(['BAD_REQUEST', 'UNSUPPORTED_ENCODING']).toContain(membersOf(replies[0]?.json()).get('code'))
    expect(replies[0]?.headers.get('connection')).toBe('close')
  })

  it('takes bytes after a body for the next request', async () => {
    const first = `POST ${ROOT}/missing HTTP/1.1\r\n${HOST}${TYPE}Content-Length: 1\r\n\r\nx`
    const { replies } = await rawExchange(server.port, `${first}xGET ${PATH} HTTP/1.1\r\n${HOST}\r\n`)
    expect(replies.map(({ status }) => status)).toEqual([404, 400])
  })
})

describe('requests that stop on their way', () => {
  it.each([
    ['nothing', []],
    ['half a method', ['GE']],
    ['half a target', [`GET ${ROOT}`]],
    ['half a head', [`GET ${PATH} HTTP/1.1\r\nHo`]],
    ['a head without its end', [`GET ${PATH} HTTP/1.1\r\n${HOST}`]],
    ['half a body', [`${POST}Content-Length: 10\r\n\r\n`, 'half']],
    ['half a chunk', [`${POST}Transfer-Encoding: chunked\r\n\r\n`, 'a\r\nhalf']],
    ['no body after Expect', [`${POST}Expect: 100-continue\r\nContent-Length: 10\r\n\r\n`]],
  ])('forgets a client that ends after %s', async (_, pieces) => {
    const { replies } = await rawExchange(server.port, pieces, { afterwards: 'end' })
    expect(replies.filter(({ status }) => ![100, 400].includes(status))).toEqual([])
    await rawExchange(server.port, pieces, { afterwards: 'leave' })
  })

  it('serves others while many are slow', async () => {
    const head = [...`GET ${PATH} HTTP/1.1\r\n${HOST}${CLOSE}\r\n`]
    const slow = Array.from({ length: 20 }, () => rawExchange(server.port, head))
    for (let round = 0; round < 10; round++) {
      expect((await server.request('GET', PATH)).text).toBe('kept')
    }
    const answers = await Promise.all(slow)
    expect(answers.map(({ replies }) => replies.map(({ text }) => text))).toEqual(answers.map(() => ['kept']))
  })

  it('forgets readers that leave while they wait', async () => {
    const get = (live: string): string => `GET ${PATH}?offset=now&live=${live} HTTP/1.1\r\n${HOST}\r\n`
    for (const live of ['long-poll', 'sse']) {
      const waiting = Array.from({ length: 10 }, () => {
        const socket = connect({ host: '127.0.0.1', port: server.port })
        socket.on('error', () => undefined)
        socket.write(get(live))
        return socket
      })
      await server.untilReaders(10)
      for (const [index, socket] of waiting.entries()) {
        if (index % 2 === 0) socket.resetAndDestroy()
        else socket.end()
      }
      await server.untilReaders(0)
      expect(server.server.statistics()?.readers).toBe(0)
    }
  })
})

describe('unusual but well-formed', () => {
  const get = (path: string, fields = ''): string => `GET ${path} HTTP/1.1\r\n${HOST}${fields}\r\n`

  it('answers pipelined requests in order', async () => {
    const paths = Array.from({ length: 20 }, (_, index) => `${ROOT}/pipelined/${index}`)
    const puts = paths.map(
      (path) => `PUT ${path} HTTP/1.1\r\n${HOST}${TYPE}Content-Length: ${path.length}\r\n\r\n${path}`,
    )
    const gets = paths.map((path) => get(path))
    const poll = get(`${PATH}?offset=now&live=long-poll`)
    const last = get(PATH, CLOSE)
    const created = await rawExchange(server.port, [...puts, last].join(''))
    const { replies } = await rawExchange(server.port, [...gets, poll, last].join(''))
    expect(created.replies.map(({ status }) => status)).toEqual([...paths.map(() => 201), 200])
    expect(replies.slice(0, 20).map(({ text }) => text)).toEqual(paths)
    expect(replies.slice(20).map(({ status, text }) => [status, text])).toEqual([
      [204, ''],
      [200, 'kept'],
    ])
  })

  it('answers what came before the bytes that it cannot read', async () => {
    const { replies } = await rawExchange(server.port, `${get(PATH)}${get(PATH)}nonsense\r\n\r\n`)
    expect(replies.map(({ status }) => status)).toEqual([200, 200, 400])
  })

  it.each(['http', 'HTTP', 'https'])('takes an absolute target for its path: %s', async (scheme) => {
    const { replies } = await rawExchange(server.port, get(`${scheme}://localhost:1${PATH}?offset=-1`, CLOSE))
    expect(replies.map(({ text }) => text)).toEqual(['kept'])
  })

  it.each([
    ['an absolute target without a path', 'GET http://localhost', 404],
    ['another scheme', `GET ftp://localhost${PATH}`, 404],
    ['GET *', 'GET *', 404],
    ['a target with a fragment', `PATCH ${PATH}#x`, 405],
  ])('refuses %s', async (_, start, status) => {
    const { replies } = await rawExchange(server.port, `${start} HTTP/1.1\r\n${HOST}${CLOSE}\r\n`)
    expect(replies.map((reply) => reply.status)).toEqual([status])
    expect(replies[0]?.headers.get('content-type')).toBe('application/problem+json')
  })

  it('answers OPTIONS * without a failure', async () => {
    const { replies } = await rawExchange(server.port, `OPTIONS * HTTP/1.1\r\n${HOST}${CLOSE}\r\n`)
    expect([200, 204, 404]).toContain(replies[0]?.status)
  })

  it('answers HTTP/1.0 and closes', async () => {
    const { text, replies } = await rawExchange(server.port, `GET ${PATH} HTTP/1.0\r\n${HOST}\r\n`)
    expect(text).toMatch(/\r\nConnection: close\r\n/)
    expect(replies.map((reply) => reply.text)).toEqual(['kept'])
    const sse = await rawExchange(server.port, `GET ${ROOT}/ended?offset=-1&live=sse HTTP/1.0\r\n${HOST}\r\n`)
    expect(sse.replies.map(({ status }) => status)).toEqual([404])
  })

  it('answers HTTP/1.0 SSE without chunks', async () => {
    const headers = { 'content-type': 'text/plain', 'stream-closed': 'true' }
    await server.request('PUT', `${ROOT}/closed`, { headers, body: 'end' })
    const request = `GET ${ROOT}/closed?offset=-1&live=sse HTTP/1.0\r\n${HOST}\r\n`
    const { text } = await rawExchange(server.port, request)
    expect(text).not.toMatch(/transfer-encoding/i)
    expect(text.slice(text.indexOf('\r\n\r\n') + 4)).toMatch(/^event: data\ndata:end\n\nevent: control\n/)
  })

  it('answers an offer to upgrade as if it had not been made', async () => {
    const upgrade = 'Connection: Upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n'
    const { replies } = await rawExchange(server.port, get(PATH, upgrade))
    expect(replies.map(({ text }) => text)).toEqual(['kept'])
  })

  it('takes a body after 100 Continue', async () => {
    const path = `${ROOT}/continued`
    const head = `PUT ${path} HTTP/1.1\r\n${HOST}${TYPE}${CLOSE}Expect: 100-continue\r\nContent-Length: 4\r\n\r\n`
    const { replies } = await rawExchange(server.port, [head, 'body'])
    expect(replies.map(({ status }) => status)).toEqual([100, 201])
    expect((await server.request('GET', path)).text).toBe('body')
  })

  it('takes pipelined requests one after the other, so that a read sees the write before it', async () => {
    const put = `PUT ${ROOT}/in-turn HTTP/1.1\r\n${HOST}${TYPE}Content-Length: 1\r\n\r\nx`
    const get = `GET ${ROOT}/in-turn HTTP/1.1\r\n${HOST}${CLOSE}\r\n`
    const { replies } = await rawExchange(server.port, put + get)
    expect(replies.map(({ status }) => status)).toEqual([201, 200])
  })

  it('refuses an expectation that it cannot meet in the usual form', async () => {
    const { replies } = await rawExchange(server.port, `${POST}Expect: tea\r\nContent-Length: 0\r\n\r\n`)
    expect(replies.map(({ status }) => status)).toEqual([417])
    expect(replies[0]?.headers.get('content-type')).toBe('application/problem+json')
    expect(replies[0]?.headers.get('x-content-type-options')).toBe('nosniff')
  })
})
