import { describe, expect, test } from 'vitest'
import { type ResponseHead, ResponseParser, ResponseSyntaxError } from './http-response-parser.ts'

interface Received {
  status: number
  head: ResponseHead | undefined
  body: string
  ends: number
  closes: boolean
}

/** Feeds the pieces one by one and returns what the sink was told. */
function receive(pieces: readonly string[], toHead = false): Received {
  const received: Received = { status: 0, head: undefined, body: '', ends: 0, closes: false }
  const parser = new ResponseParser()
  parser.begin(
    {
      onHead: (head) => {
        received.head = head
        received.status = head.status
      },
      onBody: (bytes) => {
        received.body += bytes.toString('latin1')
      },
      onEnd: (closes) => {
        received.ends += 1
        received.closes = closes
      },
    },
    toHead,
  )
  for (const piece of pieces) parser.feed(Buffer.from(piece, 'latin1'))
  return received
}

const FIXED = 'HTTP/1.1 200 OK\r\nStream-Next-Offset: 0_5\r\ncontent-LENGTH: 5\r\n\r\nhello'
const CHUNKED =
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n00A\r\n, chunked!\r\n0\r\n\r\n'

describe('complete responses', () => {
  test('with Content-Length', () => {
    const received = receive([FIXED])
    expect(received).toMatchObject({ status: 200, body: 'hello', ends: 1, closes: false })
    expect(received.head?.header('stream-next-offset')).toBe('0_5')
    expect(received.head?.header('stream-next')).toBeUndefined()
  })

  test('chunked', () => {
    expect(receive([CHUNKED])).toMatchObject({ body: 'hello, chunked!', ends: 1 })
  })

  test.each([
    ['204', 'HTTP/1.1 204 No Content\r\n\r\n'],
    ['304', 'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\n\r\n'],
    ['an empty body', 'HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n'],
    ['an empty reason', 'HTTP/1.1 204 \r\n\r\n'],
  ])('without a body: %s', (_name, text) => {
    expect(receive([text])).toMatchObject({ body: '', ends: 1 })
  })

  test('to a HEAD request, whatever length it announces', () => {
    expect(receive(['HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n'], true)).toMatchObject({
      body: '',
      ends: 1,
    })
  })

  test('that ask for the connection to be closed', () => {
    const text = 'HTTP/1.1 204 No Content\r\nConnection: Close\r\n\r\n'
    expect(receive([text])).toMatchObject({ ends: 1, closes: true })
  })
})

describe('split packets', () => {
  test.each([
    ['Content-Length', FIXED, 'hello'],
    ['chunked', CHUNKED, 'hello, chunked!'],
  ])('%s, cut at every place', (_name, text, body) => {
    const results = Array.from({ length: text.length + 1 }, (_, cut) =>
      receive([text.slice(0, cut), text.slice(cut)]),
    )
    expect(results.map((received) => [received.body, received.ends])).toEqual(results.map(() => [body, 1]))
  })

  test.each([
    ['Content-Length', FIXED, 'hello'],
    ['chunked', CHUNKED, 'hello, chunked!'],
  ])('%s, byte by byte', (_name, text, body) => {
    expect(receive(text.split(''))).toMatchObject({ status: 200, body, ends: 1 })
  })

  test('nothing ends before the last byte', () => {
    const results = [FIXED, CHUNKED].map((text) => receive([text.slice(0, -1)]).ends)
    expect(results).toEqual([0, 0])
  })
})

describe('refused', () => {
  const ok = 'HTTP/1.1 200 OK\r\n'
  test.each([
    ['another version', 'HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n'],
    ['an interim response', 'HTTP/1.1 100 Continue\r\n\r\n'],
    ['a status of two digits', 'HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n'],
    ['a space before the colon', `${ok}Content-Length : 0\r\n\r\n`],
    ['a folded line', `${ok}A: b\r\n c\r\nContent-Length: 0\r\n\r\n`],
    ['a lone line feed', `${ok}A: b\nContent-Length: 0\r\n\r\n`],
    ['a line without a colon', `${ok}Content-Length\r\n\r\n`],
    ['no length at all', `${ok}\r\n`],
    ['two lengths', `${ok}Content-Length: 1\r\nContent-Length: 1\r\n\r\na`],
    ['a negative length', `${ok}Content-Length: -1\r\n\r\n`],
    ['a length and chunks', `${ok}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n`],
    ['another coding', `${ok}Transfer-Encoding: gzip, chunked\r\n\r\n`],
    ['a chunk size that is none', `${ok}Transfer-Encoding: chunked\r\n\r\nxyz\r\n`],
    ['a chunk extension', `${ok}Transfer-Encoding: chunked\r\n\r\n1;a=b\r\na\r\n`],
    ['a chunk longer than announced', `${ok}Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n`],
    ['a trailer', `${ok}Transfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n\r\n`],
    ['bytes behind the response', `${FIXED}x`],
    ['a body behind 204', 'HTTP/1.1 204 No Content\r\n\r\nx'],
  ])('%s', (_name, text) => {
    expect(() => receive([text])).toThrow(ResponseSyntaxError)
    expect(() => receive(text.split(''))).toThrow(ResponseSyntaxError)
  })

  test('a head without an end', () => {
    expect(() => receive(['HTTP/1.1 200 OK\r\n', `A: ${'x'.repeat(70_000)}`])).toThrow(ResponseSyntaxError)
  })

  test('a response nobody asked for', () => {
    expect(() => new ResponseParser().feed(Buffer.from(FIXED))).toThrow(ResponseSyntaxError)
  })
})
