import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ADAPTERS, type Send, startTestServer, type TestServer } from './test-server.fixture.ts'

const PATH = '/v1/stream/documents'
const JSON_TYPE = { 'content-type': 'application/json' }

const NOT_JSON: readonly (readonly [string, string | Uint8Array])[] = [
  ['a bare word', 'hello'],
  ['an open array', '[1,2'],
  ['an open string', '"abc'],
  ['a comma too many', '[1,2,]'],
  ['an unquoted key', '{a:1}'],
  ['single quotes', "{'a':1}"],
  ['a comment', '[1] // one'],
  ['a number with a leading zero', '[01]'],
  ['a number without digits after the point', '1.'],
  ['a plus sign', '+1'],
  ['NaN', '[NaN]'],
  ['a raw line feed in a string', '"a\nb"'],
  ['an unknown escape', '"\\x41"'],
  ['a broken unicode escape', '"\\u12G4"'],
]

const REFUSED: readonly (readonly [string, string | Uint8Array])[] = [
  ['spaces only', '   '],
  ['line ends only', '\r\n\t\n'],
  ['two values', '1 2'],
  ['two objects on two lines', '{"a":1}\n{"a":2}'],
  ['two arrays', '[1][2]'],
  ['something after the value', '{"a":1}x'],
  ['a lone continuation byte', Uint8Array.of(0x22, 0x80, 0x22)],
  ['a byte that UTF-8 never has', Uint8Array.of(0x22, 0xff, 0x22)],
  ['a sequence that is cut off', Uint8Array.of(0x22, 0xe2, 0x82, 0x22)],
  ['an overlong sequence', Uint8Array.of(0x22, 0xc0, 0xaf, 0x22)],
  ['an encoded surrogate', Uint8Array.of(0x22, 0xed, 0xa0, 0x80, 0x22)],
  ['a code point past the last one', Uint8Array.of(0x22, 0xf4, 0x90, 0x80, 0x80, 0x22)],
  ['invalid UTF-8 outside of strings', Uint8Array.of(0x5b, 0x31, 0xc3, 0x28, 0x5d)],
]

/** Messages that a server which parses and writes again would not give back as they came. */
const DELICATE: readonly string[] = [
  '12345678901234567890',
  '-0',
  '1.0',
  '1E+2',
  '0.1000000000000000055511151231257827',
  '1e400',
  '{"a":1,"a":2}',
  '{"z":1,"a":2,"10":3,"9":4}',
  '{"__proto__":{"x":1}}',
  '"\\u00e9\\/\\u0041\\ud83d\\ude00"',
  '"\\ud800"',
  '{ "spaced" : [ 1 , 2 ] }',
  '"日本語 😀 \u2028\u2029"',
  '""',
  'null',
]

describe.each(ADAPTERS)('over %s', (adapter) => {
  let server: TestServer
  let send: Send

  beforeEach(async () => {
    server = await startTestServer()
    send = server.via(adapter)
  })

  afterEach(() => server.close())

  test.each([...NOT_JSON, ...REFUSED])(
    'R-220, R-225: a PUT with %s is refused and makes no stream',
    async (_, body) => {
      const created = await send('PUT', PATH, { headers: JSON_TYPE, body })
      const read = await send('GET', PATH)

      expect(created.status).toBe(400)
      expect(created.json()).toMatchObject({ code: 'INVALID_JSON' })
      expect(read.status).toBe(404)
    },
  )

  test.each([...NOT_JSON, ...REFUSED])(
    'R-225: a POST with %s is refused and changes nothing',
    async (_, body) => {
      const producer = { 'producer-id': 'p', 'producer-epoch': '0', 'producer-seq': '0' }
      await send('PUT', PATH, { headers: JSON_TYPE, body: '["first"]' })
      const refused = await send('POST', PATH, {
        headers: { ...JSON_TYPE, ...producer, 'stream-closed': 'true' },
        body,
      })
      const accepted = await send('POST', PATH, { headers: { ...JSON_TYPE, ...producer }, body: '"second"' })

      const read = await send('GET', PATH)

      expect([refused.status, accepted.status]).toEqual([400, 200])
      expect(refused.json()).toMatchObject({ code: 'INVALID_JSON' })
      expect(read.json()).toEqual(['first', 'second'])
      expect(read.headers.get('stream-closed')).toBeNull()
    },
  )

  test('R-220: what is no JSON is fine in a stream that is not JSON', async () => {
    const created = await send('PUT', PATH, { headers: { 'content-type': 'application/ndjson' }, body: '{a' })
    const read = await send('GET', PATH)

    expect([created.status, read.text]).toEqual([201, '{a'])
  })

  test.each(DELICATE)('R-224: %s comes back byte for byte', async (message) => {
    await send('PUT', PATH, { headers: JSON_TYPE, body: message })
    await send('POST', PATH, { headers: JSON_TYPE, body: `[${message},${message}]` })

    const read = await send('GET', PATH)
    const polled = await send('GET', `${PATH}?offset=-1&live=long-poll`)
    const events = await (await server.openSse(`${PATH}?offset=-1&live=sse`, adapter)).take(2)

    expect(read.text).toBe(`[${message},\n${message},\n${message}]`)
    expect(polled.text).toBe(read.text)
    expect(events.map(({ kind }) => kind)).toEqual(['data', 'control'])
    expect(events[0]?.data).toBe(read.text)
  })

  test('R-224: space around messages is not kept, and line ends inside become spaces', async () => {
    await send('PUT', PATH, { headers: JSON_TYPE, body: ' \r\n[ {"a":\n1,\t"b":\r\n2} ,\n 3 ]\n' })

    const read = await send('GET', PATH)

    expect(read.text).toBe('[{"a": 1, "b":  2},\n3]')
  })

  test('R-224: a byte order mark before the body is not part of it', async () => {
    await send('PUT', PATH, { headers: JSON_TYPE, body: '\uFEFF[1,2]' })

    const read = await send('GET', PATH)

    expect(read.json()).toEqual([1, 2])
    expect(read.text.startsWith('[')).toBe(true)
  })

  test('R-226: a range without messages is an empty array', async () => {
    const created = await send('PUT', PATH, { headers: JSON_TYPE })
    const empty = await send('GET', PATH)
    const tail = await send('POST', PATH, { headers: JSON_TYPE, body: '[1,2]' })
    const atTail = `${PATH}?offset=${tail.headers.get('stream-next-offset')}`
    const open = await send('GET', atTail)
    const now = await send('GET', `${PATH}?offset=now`)
    await send('POST', PATH, { headers: { 'stream-closed': 'true' } })
    const closed = await send('GET', atTail)

    expect(created.status).toBe(201)
    expect([empty, open, now, closed].map((reply) => [reply.status, reply.text])).toEqual(
      Array(4).fill([200, '[]']),
    )
    expect([empty, open, now, closed].map((reply) => reply.headers.get('content-type'))).toEqual(
      Array(4).fill('application/json'),
    )
    expect(closed.headers.get('stream-closed')).toBe('true')
  })

  test('R-226: a poll without messages has no body at all', async () => {
    await send('PUT', PATH, { headers: JSON_TYPE, body: '[1]' })

    const reply = await send('GET', `${PATH}?offset=now&live=long-poll`)

    expect([reply.status, reply.text]).toEqual([204, ''])
  })

  test('a token inside of a message is not an offset', async () => {
    await send('PUT', PATH, { headers: JSON_TYPE, body: '["abcdef","g"]' })
    const inside = '0000000000000000_0000000000000003'

    const modes = ['', '&live=long-poll', '&live=sse']
    const replies = await Promise.all(modes.map((mode) => send('GET', `${PATH}?offset=${inside}${mode}`)))

    expect(replies.map((reply) => reply.status)).toEqual([400, 400, 400])
  })
})
