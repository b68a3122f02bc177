import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encodeJsonMessages } from './json-messages.ts'
import type { Slice } from './slice.ts'
import { encodeControlEvent, encodeDataEvent, joined, SSE_HEARTBEAT } from './sse-encode.ts'
import { parseStreamPath } from './stream-path.ts'
import { evolve, PLAIN_CONFIG, type StreamEvent, type StreamState, streamId } from './stream-state.ts'

const runs = { seed: 20_241_009, numRuns: 3000 }
const encoder = new TextEncoder()

/** A stream with so many bytes. */
function stream(mediaType: string, tail: number, closed = false): StreamState {
  const path = parseStreamPath('a')
  if (path.kind !== 'stream') throw new Error('no stream path')
  const config = { ...PLAIN_CONFIG, contentType: mediaType, mediaType, id: streamId('1'), path: path.path }
  const events: readonly StreamEvent[] = [
    { kind: 'created', config, atMs: 0 },
    {
      kind: 'appended',
      unit: tail === 0 ? undefined : { sizeBytes: tail, messages: 1 },
      closes: closed,
      producer: undefined,
      streamSeq: undefined,
      forgetBeforeMs: undefined,
      atMs: 0,
    },
  ]
  const state = events.reduce<StreamState | undefined>(evolve, undefined)
  if (state === undefined) throw new Error('no stream')
  return state
}

/** The whole of a stream that holds these pieces. */
function whole(mediaType: string, ...pieces: readonly Uint8Array[]): Slice {
  const size = pieces.reduce((sum, piece) => sum + piece.length, 0)
  return { state: stream(mediaType, size), from: 0, to: size, pieces }
}

function latin1(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join('')
}

function textEvent(text: string): string {
  return new TextDecoder().decode(encodeDataEvent(whole('text/plain', encoder.encode(text))))
}

function bytesEvent(...pieces: readonly Uint8Array[]): string {
  return latin1(encodeDataEvent(whole('application/octet-stream', ...pieces)))
}

/** Stored messages of one JSON text. */
function messages(text: string): Uint8Array {
  const json = encodeJsonMessages(encoder.encode(text), 512)
  if (json.kind !== 'messages') throw new Error(`${text} has no messages`)
  return json.bytes
}

/** What a browser hands over: `event` and `data` of each event, by the rules of the HTML standard. */
function dispatch(body: string): readonly { readonly event: string; readonly data: string }[] {
  const events: { event: string; data: string }[] = []
  let event = ''
  let data: string[] = []
  for (const line of body.split(/\r\n|\n|\r/)) {
    const [, field, value = ''] = /^([^:]*):? ?(.*)$/s.exec(line) ?? []
    if (field === 'event') event = value
    if (field === 'data') data.push(value)
    if (line !== '' || data.length === 0) continue
    events.push({ event, data: data.join('\n') })
    event = ''
    data = []
  }
  return events
}

describe('a data event of text', () => {
  it.each([
    ['one line', 'hello', 'event: data\ndata:hello\n\n'],
    ['two lines', 'a\nb', 'event: data\ndata:a\ndata:b\n\n'],
    ['CR LF', 'a\r\nb', 'event: data\ndata:a\ndata:b\n\n'],
    ['CR alone', 'a\rb', 'event: data\ndata:a\ndata:b\n\n'],
    ['LF CR, which is two breaks', 'a\n\rb', 'event: data\ndata:a\ndata:\ndata:b\n\n'],
    ['CR CR LF, which is two breaks', 'a\r\r\nb', 'event: data\ndata:a\ndata:\ndata:b\n\n'],
    ['a line break last', 'a\n', 'event: data\ndata:a\ndata:\n\n'],
    ['CR LF last', 'a\r\n', 'event: data\ndata:a\ndata:\n\n'],
    ['CR last', 'a\r', 'event: data\ndata:a\ndata:\n\n'],
    ['a line break first', '\na', 'event: data\ndata:\ndata:a\n\n'],
    ['a line break only', '\n', 'event: data\ndata:\ndata:\n\n'],
    ['an empty line', 'a\n\nb', 'event: data\ndata:a\ndata:\ndata:b\n\n'],
    [
      'separators that are no line breaks',
      'a\u0085b\u2028c\u2029d\u000be',
      'event: data\ndata:a\u0085b\u2028c\u2029d\u000be\n\n',
    ],
    ['NUL', 'a\0b', 'event: data\ndata:a\0b\n\n'],
    ['characters outside ASCII', '\u00e4\u20ac\u{1f600}', 'event: data\ndata:\u00e4\u20ac\u{1f600}\n\n'],
  ])('R-191: has a data line for each line of %s', (_, text, event) => {
    expect(textEvent(text)).toBe(event)
  })

  it.each([
    ['one space', ' ', 'event: data\ndata:  \n\n'],
    ['a space and text', ' a', 'event: data\ndata:  a\n\n'],
    ['two spaces and text', '  a', 'event: data\ndata:   a\n\n'],
    ['a space in a later line', 'a\n b', 'event: data\ndata:a\ndata:  b\n\n'],
    ['a space inside', 'a b', 'event: data\ndata:a b\n\n'],
    ['a tab', '\ta', 'event: data\ndata:\ta\n\n'],
  ])('R-208: doubles the space that a line starts with: %s', (_, text, event) => {
    expect(textEvent(text)).toBe(event)
  })

  it.each([
    'x\n\nevent: control\ndata:{"streamClosed":true}\n\n',
    'x\r\n\r\nevent: control\r\ndata:{}\r\n\r\n',
    'x\r\revent: control\rdata:{}\r\r',
    ':comment\nid: 1\nretry: 0\n\n',
  ])('R-192: keeps what looks like events as literal text: %j', (text) => {
    const events = dispatch(textEvent(text))
    expect(events).toEqual([{ event: 'data', data: text.replaceAll(/\r\n?/g, '\n') }])
  })

  it('R-191, R-192, R-208: is one event from which a browser gets the text back, its line breaks as LF', () => {
    const text = fc
      .array(
        fc.constantFrom(
          'a',
          ' ',
          '\n',
          '\r',
          '\r\n',
          ':',
          'data:',
          'event: control',
          '\u00e4',
          '\u2028',
          '\0',
        ),
        {
          minLength: 1,
          maxLength: 20,
        },
      )
      .map((parts) => parts.join(''))
    const property = fc.property(text, (sent) => {
      const events = dispatch(textEvent(sent))
      return (
        events.length === 1 &&
        events[0]?.event === 'data' &&
        events[0].data === sent.replaceAll(/\r\n?/g, '\n')
      )
    })
    expect(fc.check(property, runs).counterexample).toBeNull()
  })

  it('is the same from one piece and from several', () => {
    const pieces = fc.array(fc.uint8Array({ minLength: 1, maxLength: 9 }), { minLength: 1, maxLength: 5 })
    const property = fc.property(pieces, (parts) => {
      const split = encodeDataEvent(whole('text/plain', ...parts))
      return latin1(split) === latin1(encodeDataEvent(whole('text/plain', joined(parts))))
    })
    expect(fc.check(property, runs).counterexample).toBeNull()
  })
})

describe('a data event of bytes', () => {
  it.each([
    ['one byte', [0xff], '/w=='],
    ['two bytes', [0x00, 0xff], 'AP8='],
    ['three bytes', [0xfb, 0xff, 0xbf], '+/+/'],
    ['line feeds', [0x0a, 0x0a], 'Cgo='],
  ])('R-196: is base64 with padding: %s', (_, bytes, base64) => {
    expect(bytesEvent(Uint8Array.from(bytes))).toBe(`event: data\ndata:${base64}\n\n`)
  })

  it('R-196: decodes to the bytes', () => {
    const pieces = fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { minLength: 1, maxLength: 4 })
    const property = fc.property(pieces, (parts) => {
      return bytesEvent(...parts) === `event: data\ndata:${Buffer.concat(parts).toString('base64')}\n\n`
    })
    expect(fc.check(property, runs).counterexample).toBeNull()
  })

  it('grows with its bytes', () => {
    const large = new Uint8Array(100_000).fill(0x5a)
    expect(bytesEvent(large)).toBe(`event: data\ndata:${Buffer.from(large).toString('base64')}\n\n`)
    expect(textEvent('\n'.repeat(100_000))).toBe(`event: data\ndata:${'\ndata:'.repeat(100_000)}\n\n`)
  })
})

describe('a data event of JSON messages', () => {
  const json = (...texts: readonly string[]): string => {
    return new TextDecoder().decode(encodeDataEvent(whole('application/json', ...texts.map(messages))))
  }

  it.each([
    ['one message', ['1'], 'event: data\ndata:[1]\n\n'],
    ['a batch', ['[1,{"a":[]}]'], 'event: data\ndata:[1,\ndata:{"a":[]}]\n\n'],
    ['several appends', ['1', '[[2]]', '"c"'], 'event: data\ndata:[1,\ndata:[2],\ndata:"c"]\n\n'],
    ['line breaks between tokens', ['{\r\n"a":\n1}'], 'event: data\ndata:[{  "a": 1}]\n\n'],
    ['escaped line breaks', ['"a\\r\\n\\nb"'], 'event: data\ndata:["a\\r\\n\\nb"]\n\n'],
  ])('R-187: is one array, with a line for each message: %s', (_, texts, event) => {
    expect(json(...texts)).toBe(event)
  })

  it('R-187, R-193: is one event from which a browser gets the values back', () => {
    const property = fc.property(fc.array(fc.jsonValue(), { minLength: 1, maxLength: 5 }), (values) => {
      const events = dispatch(json(...values.map((value) => `[${JSON.stringify(value, undefined, '\t')}]`)))
      const [event] = events
      return events.length === 1 && JSON.stringify(JSON.parse(event?.data ?? '')) === JSON.stringify(values)
    })
    expect(fc.check(property, runs).counterexample).toBeNull()
  })
})

describe('a control event', () => {
  const control = (state: StreamState, to: number): string => {
    const bytes = encodeControlEvent({ state, from: 0, to, pieces: [] }, 1_860_000n)
    return new TextDecoder().decode(bytes)
  }

  it('R-184, R-189: names the tail of an open stream, the cursor, and that the reader is up to date', () => {
    expect(control(stream('text/plain', 12), 12)).toBe(
      'event: control\ndata:{"streamNextOffset":"0000000000000000_0000000000000012",' +
        '"streamCursor":"1860000","upToDate":true}\n\n',
    )
  })

  it('R-184, R-189: does not say up to date before the tail', () => {
    const expected =
      'event: control\ndata:{"streamNextOffset":"0000000000000000_0000000000000007","streamCursor":"1860000"}\n\n'
    expect(control(stream('text/plain', 12), 7)).toBe(expected)
    expect(control(stream('text/plain', 12, true), 7)).toBe(expected)
  })

  it('R-204, R-207: says up to date and closed, without a cursor, at the end of a closed stream', () => {
    expect(control(stream('text/plain', 12, true), 12)).toBe(
      'event: control\ndata:{"streamNextOffset":"0000000000000000_0000000000000012",' +
        '"upToDate":true,"streamClosed":true}\n\n',
    )
  })

  it('R-188: has a real offset for an empty stream', () => {
    expect(control(stream('text/plain', 0), 0)).toContain(
      '"streamNextOffset":"0000000000000000_0000000000000000"',
    )
  })

  it('R-200: is never encoded', () => {
    expect(control(stream('application/octet-stream', 3), 3)).toBe(control(stream('text/plain', 3), 3))
  })

  it('R-184, R-185: is one flat JSON object in one line, whatever the position', () => {
    const numbers = fc.tuple(fc.maxSafeNat(), fc.nat(), fc.boolean())
    const property = fc.property(numbers, ([tail, behind, closed]) => {
      const text = control(stream('text/plain', tail, closed), Math.max(0, tail - behind))
      const line = /^event: control\ndata:(\{[^{}\n\r]*\})\n\n$/.exec(text)?.[1] ?? 'null'
      return Object.values(JSON.parse(line)).every((value) => value === true || typeof value === 'string')
    })
    expect(fc.check(property, runs).counterexample).toBeNull()
  })
})

describe('a heartbeat', () => {
  it('is a comment, which browsers skip', () => {
    expect(latin1(SSE_HEARTBEAT)).toBe(':\n\n')
  })
})

describe('joined pieces', () => {
  it('are their bytes in order, and a single piece itself', () => {
    const piece = Uint8Array.of(1, 2)
    expect(joined([piece])).toBe(piece)
    expect(joined([piece, new Uint8Array(0), Uint8Array.of(3)])).toEqual(Uint8Array.of(1, 2, 3))
    expect(joined([])).toEqual(new Uint8Array(0))
  })
})
