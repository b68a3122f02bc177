import { describe, expect, it } from 'vitest'
import { encodeJsonMessages, endOfMessage, type JsonMessages } from './json-messages.ts'

const DEPTH = 64
const encoder = new TextEncoder()

function encode(text: string, maxDepth: number = DEPTH): JsonMessages {
  return encodeJsonMessages(encoder.encode(text), maxDepth)
}

/** The stored text, or what came instead of messages. */
function storedText(json: JsonMessages): string {
  return json.kind === 'messages' ? new TextDecoder().decode(json.bytes) : json.kind
}

function storedBytes(json: JsonMessages): Uint8Array {
  return json.kind === 'messages' ? json.bytes : new Uint8Array(0)
}

function countOf(json: JsonMessages): number {
  return json.kind === 'messages' ? json.count : 0
}

function complaint(json: JsonMessages): string {
  return json.kind === 'invalid' ? `${json.at}: ${json.reason}` : json.kind
}

function quoted(...bytes: readonly number[]): Uint8Array {
  return Uint8Array.of(0x22, ...bytes, 0x22)
}

describe('R-217: flattens a top-level array by one level', () => {
  it.each([
    ['a single value', '{"a":1}', '{"a":1},\n'],
    ['an array of values', '[1,"b",null]', '1,\n"b",\nnull,\n'],
    ['an array in an array', '[[1,2],[3]]', '[1,2],\n[3],\n'],
    ['an empty array in an array', '[[]]', '[],\n'],
    ['empty arrays and objects', '[[],{},[[]],[{}]]', '[],\n{},\n[[]],\n[{}],\n'],
    ['an object with arrays', '{"a":[1,[2]]}', '{"a":[1,[2]]},\n'],
    ['a single element', '[0]', '0,\n'],
  ])('%s', (_, text, stored) => {
    expect(storedText(encode(text))).toBe(stored)
  })

  it.each(['[]', ' [ ] ', '\t[\r\n]\n', '\ufeff[]'])('takes %j as an empty array', (text) => {
    expect(encode(text)).toEqual({ kind: 'empty-array' })
  })

  it('counts the messages', () => {
    expect(['7', '[7]', '[[7],[7]]', '[1,2,3]'].map((text) => countOf(encode(text)))).toEqual([1, 1, 2, 3])
  })
})

describe('R-221: takes every kind of value', () => {
  it.each([
    'true',
    'false',
    'null',
    '0',
    '-0',
    '42',
    '-1.5',
    '0.25',
    '1e5',
    '1E+5',
    '1.25e-10',
    '""',
    '"x"',
    '{}',
    '{"a":{"b":[]},"c":[{}]}',
  ])('%s', (text) => {
    expect(storedText(encode(text))).toBe(`${text},\n`)
    expect(storedText(encode(`[${text},${text}]`))).toBe(`${text},\n${text},\n`)
    expect(storedText(encode(`{"k":${text}}`))).toBe(`{"k":${text}},\n`)
  })
})

describe('R-224: keeps tokens byte for byte', () => {
  it.each([
    ['every digit of a big integer', '{"n":12345678901234567890}'],
    ['every digit of a long fraction', '0.1000000000000000055511151231257827'],
    ['a number beyond the range of a double', '1e999'],
    ['the sign of zero', '{"z":-0,"y":-0.0}'],
    ['duplicate keys', '{"a":1,"a":2,"a":1}'],
    ['the order of keys', '{"2":0,"1":0,"b":0,"a":0}'],
    ['a __proto__ key', '{"__proto__":{"x":1}}'],
    ['simple escapes', '"\\"\\\\\\/\\b\\f\\n\\r\\t"'],
    ['\\u escapes in either case', '"\\u00e9\\u00E9\\u0000\\uD83D\\uDE00"'],
    ['lone surrogate escapes', '"\\uD800 \\udfff"'],
    ['characters of one to four bytes', '"a\u007f\u0080ß\u0800日\uffff😀\u{10ffff}"'],
    ['separators of JavaScript', '"\u2028\u2029\u0085"'],
    ['a byte order mark inside a string', '"\ufeff"'],
    ['brackets, commas and colons inside a string', '"]}[{,:"'],
  ])('%s', (_, text) => {
    expect(storedText(encode(text))).toBe(`${text},\n`)
    expect(storedText(encode(`[${text}]`))).toBe(`${text},\n`)
  })

  it('drops outer whitespace and a byte order mark', () => {
    expect(storedText(encode('\ufeff \r\n\t{"a":1}\t\r\n '))).toBe('{"a":1},\n')
    expect(storedText(encode('\ufeff\n[ 1 ,\r\n 2\t]\n'))).toBe('1,\n2,\n')
  })

  it('turns CR, LF and TAB between tokens into spaces, and keeps their number', () => {
    const text = '[{\r\n\t"a" :\t[ 1,\n2 ]\r},\n{"b":\n{\n}\n}]'
    expect(storedText(encode(text))).toBe('{   "a" : [ 1, 2 ] },\n{"b": { } },\n')
    expect(storedText(encode('{\n\t"a": 1\r\n}'))).toBe('{  "a": 1  },\n')
  })
})

describe('R-220, R-225: refuses what is not one JSON text', () => {
  it.each([
    ['', '0: Expected a JSON value, but the text ends'],
    [' \r\n\t ', '5: Expected a JSON value, but the text ends'],
    ['\ufeff', '3: Expected a JSON value, but the text ends'],
    ['\ufeff\ufeff1', '3: Expected a JSON value, found byte 0xef'],
    ['1 2', "2: Expected the end of the text after the JSON value, found '2'"],
    ['{}{}', "2: Expected the end of the text after the JSON value, found '{'"],
    ['[1] [2]', "4: Expected the end of the text after the JSON value, found '['"],
    ['[],', "2: Expected the end of the text after the JSON value, found ','"],
    ['"a"x', "3: Expected the end of the text after the JSON value, found 'x'"],
    ['1\0', '1: Expected the end of the text after the JSON value, found byte 0x00'],
    ['01', "1: Expected the end of the text after the JSON value, found '1'"],
    ['[1', "2: Expected ',' or ']' after an array element, but the text ends"],
    ['[1 2]', "3: Expected ',' or ']' after an array element, found '2'"],
    ['[[1}]', "3: Expected ',' or ']' after an array element, found '}'"],
    ['[1,]', "3: Expected a JSON value, found ']'"],
    ['[,1]', "1: Expected a JSON value, found ','"],
    ['[', '1: Expected a JSON value, but the text ends'],
    [']', "0: Expected a JSON value, found ']'"],
    ['{"a":1]', "6: Expected ',' or '}' after a property value, found ']'"],
    ['{"a":1', "6: Expected ',' or '}' after a property value, but the text ends"],
    ['{"a":1,}', "7: Expected a property name in double quotes, found '}'"],
    ['{,}', "1: Expected a property name in double quotes, found ','"],
    ['{', '1: Expected a property name in double quotes, but the text ends'],
    ["{'a':1}", "1: Expected a property name in double quotes, found '''"],
    ['{a:1}', "1: Expected a property name in double quotes, found 'a'"],
    ['{"a" 1}', "5: Expected ':' after a property name, found '1'"],
    ['{"a":}', "5: Expected a JSON value, found '}'"],
    ['-', "1: Expected a digit after '-', but the text ends"],
    ['+1', "0: Expected a JSON value, found '+'"],
    ['.5', "0: Expected a JSON value, found '.'"],
    ['1.', "2: Expected a digit after '.', but the text ends"],
    ['[1.e5]', "3: Expected a digit after '.', found 'e'"],
    ['1e', '2: Expected a digit in the exponent, but the text ends'],
    ['[1e+]', "4: Expected a digit in the exponent, found ']'"],
    ['tru', '3: Expected the word true, but the text ends'],
    ['[nulx]', "4: Expected the word null, found 'x'"],
    ['falsy', "4: Expected the word false, found 'y'"],
    ['NaN', "0: Expected a JSON value, found 'N'"],
    ['undefined', "0: Expected a JSON value, found 'u'"],
    ['// a\n1', "0: Expected a JSON value, found '/'"],
    ['"a', `2: Expected '"' at the end of the string (control characters need an escape), but the text ends`],
    [
      '"a\nb"',
      `2: Expected '"' at the end of the string (control characters need an escape), found byte 0x0a`,
    ],
    [
      '["abcdefgh\u001f"]',
      `10: Expected '"' at the end of the string (control characters need an escape), found byte 0x1f`,
    ],
    ['"\\x41"', `2: Expected one of "\\/bfnrtu after a backslash, found 'x'`],
    ['"\\', '2: Expected one of "\\/bfnrtu after a backslash, but the text ends'],
    ['"\\u12G4"', "5: Expected four hexadecimal digits after \\u, found 'G'"],
    ['"\\u12"', `5: Expected four hexadecimal digits after \\u, found '"'`],
  ])('%j', (text, expected) => {
    expect(complaint(encode(text))).toBe(expected)
  })

  it('refuses every proper prefix of a document', () => {
    const text = '{"k\\u00e9y":[1.5e-3,true,"日😀",{"n":null}],"last":-0}'
    const body = encoder.encode(text)
    const taken = [...body.keys()].filter((end) => {
      return encodeJsonMessages(body.subarray(0, end), DEPTH).kind !== 'invalid'
    })
    expect(storedText(encodeJsonMessages(body, DEPTH))).toBe(`${text},\n`)
    expect(taken).toEqual([])
  })

  it('refuses each control character in a string, at each place of a word, and takes all others', () => {
    const refused = new Set<number>()
    for (let c = 0; c < 0x80; c++) {
      for (let before = 0; before < 9; before++) {
        const text = `"${'x'.repeat(before)}${String.fromCharCode(c)}zone"`
        if (encode(text).kind === 'invalid') refused.add(c)
      }
    }
    const controls = Array.from({ length: 0x20 }, (_, c) => c)
    expect([...refused]).toEqual([...controls, 0x22, 0x5c])
  })

  it('takes the eight simple escapes and no other', () => {
    const escapes = Array.from({ length: 0x80 }, (_, c) => String.fromCharCode(c))
    const taken = escapes.filter((c) => encode(`"\\${c}"`).kind === 'messages')
    expect(taken.join('')).toBe('"/\\bfnrt')
  })
})

describe('R-225: refuses what is not UTF-8', () => {
  it.each([
    ['an overlong form of two bytes', [0xc0, 0x80]],
    ['an overlong form of three bytes', [0xe0, 0x9f, 0xbf]],
    ['an overlong form of four bytes', [0xf0, 0x8f, 0xbf, 0xbf]],
    ['an encoded high surrogate', [0xed, 0xa0, 0x80]],
    ['an encoded low surrogate', [0xed, 0xbf, 0xbf]],
    ['a code point above U+10FFFF', [0xf4, 0x90, 0x80, 0x80]],
    ['a lead byte that never occurs', [0xff]],
    ['a lone continuation byte', [0x80]],
    ['a sequence that is cut short', [0xe2, 0x82]],
  ])('%s', (_, bytes) => {
    const expected = `1: Expected valid UTF-8, found byte 0x${bytes[0]?.toString(16)}`
    expect(complaint(encodeJsonMessages(quoted(...bytes), DEPTH))).toBe(expected)
  })

  it('agrees with TextDecoder on sequences around every border', () => {
    const borders = [0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff]
    const disagreements: string[] = []
    for (let lead = 0x80; lead <= 0xff; lead++) {
      for (const tail of [
        [],
        ...borders.flatMap((b) => borders.map((c) => [b, c])),
        ...borders.map((b) => [b]),
      ]) {
        for (const last of [[], [0x80], [0xbf], [0x7f], [0xc2, 0xa9]]) {
          const body = quoted(lead, ...tail, ...last)
          const taken = encodeJsonMessages(body, DEPTH).kind === 'messages'
          if (taken !== isUtf8(body)) disagreements.push(String(body))
        }
      }
    }
    expect(disagreements).toEqual([])
  })

  it('refuses it outside strings too', () => {
    expect(complaint(encodeJsonMessages(Uint8Array.of(0x5b, 0xff, 0x5d), DEPTH))).toBe(
      '1: Expected a JSON value, found byte 0xff',
    )
  })
})

function isUtf8(body: Uint8Array): boolean {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(body) !== ''
  } catch {
    // The decoder throws to say no.
    return false
  }
}

describe('the depth limit', () => {
  it.each([
    ['1', 0],
    ['[1]', 1],
    ['{"a":1}', 1],
    ['[[[]]]', 3],
    ['[{"a":[]}]', 3],
    ['{"a":{"b":[0]}}', 3],
    ['[[],[],{"a":{}}]', 3],
  ])('%s is %i deep', (text, depth) => {
    expect(encode(text, depth).kind).not.toBe('invalid')
    expect(complaint(encode(text, depth - 1))).toMatch(
      depth === 0 ? 'messages' : `Expected at most ${depth - 1} levels of arrays and objects, found`,
    )
  })

  it.each([1, 512, 4096, 4097, 100_000])('holds at %i levels, without a stack overflow', (depth) => {
    const nested = (levels: number): string => `${'['.repeat(levels)}${']'.repeat(levels)}`
    expect(encode(`{"a":${nested(depth)}}`, depth + 1).kind).toBe('messages')
    expect(complaint(encode(`{"a":${nested(depth + 1)}}`, depth + 1))).toBe(
      `${5 + depth}: Expected at most ${depth + 1} levels of arrays and objects, found '['`,
    )
  })

  it('points at the first bracket that is too deep', () => {
    expect(complaint(encode('[[1],[[2]]]', 2))).toBe(
      "6: Expected at most 2 levels of arrays and objects, found '['",
    )
  })

  it('is no reason to allocate: an endless limit is taken as it is', () => {
    expect(storedText(encode('[[[1]]]', Number.POSITIVE_INFINITY))).toBe('[[1]],\n')
  })
})

describe('the result', () => {
  it('has a buffer of its own, of exactly its size', () => {
    const body = encoder.encode(
      '[1,{"a":"some text that is longer than sixty-four bytes, to be sure of it"}]',
    )
    const stored = storedBytes(encodeJsonMessages(body, DEPTH))
    expect(stored.byteOffset).toBe(0)
    expect(stored.buffer.byteLength).toBe(stored.length)
    expect(stored.buffer).not.toBe(body.buffer)
  })

  it('does not change when the body does, nor with later calls; the body stays as it is', () => {
    const body = encoder.encode('{\n"a":1}')
    const stored = storedBytes(encodeJsonMessages(body, DEPTH))
    expect(new TextDecoder().decode(body)).toBe('{\n"a":1}')
    body.fill(0x78)
    encode('["other", "messages", "of", "some", "length"]')
    expect(new TextDecoder().decode(stored)).toBe('{ "a":1},\n')
  })

  it('takes a view into a larger buffer, and nothing around it', () => {
    const pool = encoder.encode('"x"[1,2]3')
    expect(storedText(encodeJsonMessages(pool.subarray(3, 8), DEPTH))).toBe('1,\n2,\n')
    expect(encodeJsonMessages(pool.subarray(3, 7), DEPTH).kind).toBe('invalid')
  })

  it('is not completed by what an earlier body left behind', () => {
    encode('["aaaaaaaaaaaaaaaaaaaaaaaaaaa", true, "bbbbbbbbbbbbbb"]')
    expect(['["a', '[tru', '[1', '{"a":"\\u12', '[fals', '"\\'].map((text) => encode(text).kind)).toEqual(
      Array.from({ length: 6 }, () => 'invalid'),
    )
  })
})

describe('sizes', () => {
  it('moves messages of every length without touching their neighbours', () => {
    const messages = Array.from({ length: 600 }, (_, n) =>
      JSON.stringify('abcdefghij'.repeat(60).slice(0, n)),
    )
    expect(storedText(encode(`[${messages.join(',')}]`))).toBe(messages.map((text) => `${text},\n`).join(''))
  })

  // The output grows fastest against the input when every message is one byte: the moves then stay closest.
  it.each([1, 2, 3, 4, 5, 100, 1000, 200_000, 1_000_000])('encodes %i messages of one byte', (count) => {
    const digits = Array.from({ length: count }, (_, n) => String(n % 10))
    const json = encode(`[${digits.join(',')}]`)
    expect(countOf(json)).toBe(count)
    expect(storedText(json) === digits.map((digit) => `${digit},\n`).join('')).toBe(true)
  })

  it.each([-3, -2, -1, 0, 1, 2, 3])('is the same on both sides of the kept workspace: %i', (difference) => {
    const length = Math.floor(((512 * 1024 - 16) * 2) / 3) + difference
    const text = `"${'é'.repeat(10)}${'x'.repeat(length - 22)}"`
    expect(storedText(encode(text)) === `${text},\n`).toBe(true)
    expect(encode(`${text.slice(0, -1)}`).kind).toBe('invalid')
  })

  it('encodes 10 MiB in one body', () => {
    const one = JSON.stringify({ id: 1, text: 'x'.repeat(80), tags: ['a', 'b'] })
    const count = Math.ceil((10 * 1024 * 1024) / one.length)
    const json = encode(`[${Array.from({ length: count }, () => one).join(',\n')}]`)
    expect(countOf(json)).toBe(count)
    expect(storedText(json) === `${one},\n`.repeat(count)).toBe(true)
  })

  it('encodes a single value of 10 MiB', () => {
    const text = JSON.stringify({ a: 'naïve '.repeat(2 * 1024 * 1024) })
    expect(storedText(encode(text)) === `${text},\n`).toBe(true)
  })
})

describe('endOfMessage', () => {
  const stored = encoder.encode('1,\n[2, 3],\n"x",\n')

  it.each([
    [0, 0],
    [1, 3],
    [2, 11],
    [3, 16],
    [4, undefined],
    [1000, undefined],
  ])('message %i ends at %s', (n, end) => {
    expect(endOfMessage(stored, n)).toBe(end)
  })

  it('counts from the start of the slice', () => {
    expect(endOfMessage(stored.subarray(3), 1)).toBe(8)
    expect(endOfMessage(new Uint8Array(0), 1)).toBeUndefined()
  })
})
