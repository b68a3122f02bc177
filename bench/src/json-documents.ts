/**
 * Random JSON texts, sound and broken, and the verdict of `JSON.parse` on them: what the scanner of JSON-mode
 * bodies is compared with. The same seed gives the same documents.
 */
import { isDeepStrictEqual } from 'node:util'
import { encodeJsonMessages } from '@millrace/protocol'

/** Numbers from 0 up to, not including, 1. */
export type Random = () => number

/** The mulberry32 generator: 32 bits of state, good enough to choose test cases. */
export function seededRandom(seed: number): Random {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

function below(random: Random, bound: number): number {
  return Math.floor(random() * bound)
}

function pick(random: Random, choices: readonly string[]): string {
  return choices[below(random, choices.length)] ?? ''
}

const LF = 0x0a
const COMMA = 0x2c
const QUOTE = 0x22
const BACKSLASH = 0x5c
const SPACE_BYTES: ReadonlySet<number> = new Set([0x20, 0x09, LF, 0x0d])

const MAX_DEPTH = 7
const MAX_CHILDREN = 5
/** Of some arrays at the top: with many small messages the stored form is longer than the body. */
const WIDE_CHILDREN = 60

const SPACES = ['', '', '', '', ' ', '  ', '\n', '\r\n', '\t', ' \n\t\r ', '\n      ']
const NUMBERS = [
  '0',
  '-0',
  '-0.0',
  '0e0',
  '1E+05',
  '2e-7',
  '-1.5e10',
  '0.1',
  '1e400',
  '-1e-400',
  '123456789.0',
]
const BIG_NUMBERS = [
  '12345678901234567890',
  '0.1234567890123456789012345',
  '1'.repeat(40),
  '-9007199254740993',
]
const WORDS = ['true', 'false', 'null']
const KEYS = ['id', 'name', '', '__proto__', 'constructor', 'a', 'ü', '日本', '\\u0061', 'toString', '0', '1']
const ESCAPES = [
  '\\"',
  '\\\\',
  '\\/',
  '\\b',
  '\\f',
  '\\n',
  '\\r',
  '\\t',
  '\\u0000',
  '\\u00e9',
  '\\uD83D\\uDE00',
]
const LONE_SURROGATES = ['\\uD800', '\\udfff', '\\uDC00\\uD800', '\\uDBff']
const CHARACTERS = [
  '\u0080',
  'ß',
  '\u07ff',
  '\u0800',
  '日',
  '\ud7ff',
  '\ue000',
  '\ufeff',
  '\uffff',
  '\u2028',
  '\u007f',
]
const WIDE_CHARACTERS = ['\u{10000}', '😀', '\u{10ffff}', '\u{3ffff}']
/** Every character that the grammar gives a meaning, so that short random texts are often nearly JSON. */
const GRAMMAR = [
  ...'[]{},:"\\ \n01-+.eE',
  'true',
  'false',
  'null',
  '"a"',
  '\\u00',
  '[]',
  '{}',
  '"":',
  '\u00e9',
]
const BOM = '\ufeff'

function randomString(random: Random): string {
  let text = ''
  const pieces = random() < 0.1 ? below(random, 60) : below(random, 6)
  for (let i = 0; i < pieces; i++) {
    const kind = random()
    if (kind < 0.5) text += 'abc def]}{[,:0123456789'.slice(below(random, 12), 12 + below(random, 12))
    else if (kind < 0.65) text += pick(random, ESCAPES)
    else if (kind < 0.7) text += pick(random, LONE_SURROGATES)
    else if (kind < 0.9) text += pick(random, CHARACTERS)
    else text += pick(random, WIDE_CHARACTERS)
  }
  return `"${text}"`
}

function randomNumber(random: Random): string {
  const kind = random()
  if (kind < 0.3) return pick(random, NUMBERS)
  if (kind < 0.4) return pick(random, BIG_NUMBERS)
  if (kind < 0.7) return String(below(random, 100_000) - 1000)
  return String((random() - 0.5) * 10 ** below(random, 25))
}

function randomContainer(random: Random, depth: number, open: string, close: string): string {
  const isWide = depth === 0 && random() < 0.05
  const space = (): string => (isWide ? '' : pick(random, SPACES))
  const children = depth >= MAX_DEPTH ? 0 : below(random, isWide ? WIDE_CHILDREN : MAX_CHILDREN)
  const parts: string[] = []
  for (let i = 0; i < children; i++) {
    const key = random() < 0.7 ? `"${pick(random, KEYS)}"` : randomString(random)
    const name = open === '{' ? `${key}${space()}:${space()}` : ''
    const value = isWide ? String(below(random, 10)) : randomValue(random, depth + 1)
    parts.push(`${space()}${name}${value}${space()}`)
  }
  return `${open}${children === 0 ? space() : parts.join(',')}${close}`
}

function randomValue(random: Random, depth: number): string {
  const kind = random()
  if (kind < 0.2) return randomContainer(random, depth, '[', ']')
  if (kind < 0.45) return randomContainer(random, depth, '{', '}')
  if (kind < 0.7) return randomString(random)
  if (kind < 0.9) return randomNumber(random)
  return pick(random, WORDS)
}

function randomText(random: Random): string {
  const kind = random()
  if (kind < 0.15) {
    return Array.from({ length: below(random, 14) }, () => pick(random, GRAMMAR)).join('')
  }
  const value = kind < 0.65 ? randomContainer(random, 0, '[', ']') : randomValue(random, 0)
  const marks = random() < 0.05 ? BOM.repeat(1 + below(random, 2)) : ''
  return `${marks}${pick(random, SPACES)}${value}${pick(random, SPACES)}`
}

/** Overlong forms, surrogates, code points beyond the last, lone and missing continuation bytes. */
const BROKEN_UTF8: readonly (readonly number[])[] = [
  [0xc0, 0x80],
  [0xc1, 0xbf],
  [0xe0, 0x80, 0x80],
  [0xe0, 0x9f, 0xbf],
  [0xed, 0xa0, 0x80],
  [0xed, 0xbf, 0xbf],
  [0xf0, 0x80, 0x80, 0x80],
  [0xf0, 0x8f, 0xbf, 0xbf],
  [0xf4, 0x90, 0x80, 0x80],
  [0xf5, 0x80, 0x80, 0x80],
  [0xf8, 0x88, 0x80, 0x80, 0x80],
  [0x80],
  [0xbf],
  [0xc3],
  [0xe2, 0x82],
  [0xf0, 0x9f, 0x98],
  [0xfe],
  [0xff],
  [0xef, 0xbb, 0xbf],
]
const TELLING_BYTES: Uint8Array = new TextEncoder().encode(
  '[]{}",:\\/ \n\t\r\b\0\u001f\u007f0123456789-+.eEtrufalsn',
)

function tellingByte(random: Random): number {
  return random() < 0.2 ? below(random, 256) : (TELLING_BYTES[below(random, TELLING_BYTES.length)] ?? 0)
}

function splice(body: Uint8Array, at: number, removed: number, added: ArrayLike<number>): Uint8Array {
  const rest = body.subarray(at + removed)
  const spliced = new Uint8Array(at + added.length + rest.length)
  spliced.set(body.subarray(0, at))
  spliced.set(added, at)
  spliced.set(rest, at + added.length)
  return spliced
}

function mutate(random: Random, body: Uint8Array): Uint8Array {
  const at = below(random, body.length + 1)
  const other = below(random, body.length + 1)
  switch (below(random, 10)) {
    case 0:
      return at < body.length ? splice(body, at, 1, [(body[at] ?? 0) ^ (1 << below(random, 8))]) : body
    case 1:
      return splice(body, at, 1, [tellingByte(random)])
    case 2:
      return splice(body, at, 1, [])
    case 3:
      return splice(body, at, below(random, 12), [])
    case 4:
      return splice(body, at, 0, [tellingByte(random)])
    case 5:
      return body.slice(0, at)
    case 6:
      return splice(body, at, 0, body.slice(Math.min(at, other), Math.max(at, other)))
    case 7:
      return splice(body, at, 0, BROKEN_UTF8[below(random, BROKEN_UTF8.length)] ?? [])
    case 8:
      return splice(body, at, 0, [BACKSLASH, below(random, 128)])
    default:
      return splice(body, at, below(random, 3), new TextEncoder().encode(pick(random, GRAMMAR)))
  }
}

/** One body: half of them are sound, the others carry one to three faults (which not always break them). */
export function randomDocument(random: Random): Uint8Array {
  if (random() < 0.01) return Uint8Array.from({ length: below(random, 40) }, () => below(random, 256))
  let body: Uint8Array = new TextEncoder().encode(randomText(random))
  if (random() < 0.5) return body
  for (let faults = 1 + below(random, 3); faults > 0; faults--) body = mutate(random, body)
  return body
}

/** The elements that `JSON.parse` sees after flattening an array one level; undefined if it is not JSON. */
export function parsedElements(body: Uint8Array): readonly unknown[] | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
    return Array.isArray(value) ? value : [value]
  } catch {
    // Not UTF-8 or not JSON: either way a body that has to be refused.
    return undefined
  }
}

/** Deeper than any document here can be: the limit has tests of its own. */
const NO_DEPTH_LIMIT = 2 ** 20

/** The bytes of a sound JSON text without the whitespace between its tokens. */
function tokensOf(text: Uint8Array): readonly number[] {
  const tokens: number[] = []
  let inString = false
  let escaped = false
  for (const byte of text) {
    if (inString || !SPACE_BYTES.has(byte)) tokens.push(byte)
    if (byte === QUOTE && !escaped) inString = !inString
    escaped = inString && byte === BACKSLASH && !escaped
  }
  return tokens
}

function splitStored(stored: Uint8Array): readonly Uint8Array[] | undefined {
  const messages: Uint8Array[] = []
  for (let from = 0; from < stored.length; ) {
    const lf = stored.indexOf(LF, from)
    if (lf < from + 2 || stored[lf - 1] !== COMMA) return undefined
    messages.push(stored.subarray(from, lf - 1))
    from = lf + 1
  }
  return messages
}

/** Compares the scanner with `JSON.parse`; says what differs. */
export function findMismatch(body: Uint8Array): { readonly accepted: boolean; readonly mismatch?: string } {
  const elements = parsedElements(body)
  const accepted = elements !== undefined
  const json = encodeJsonMessages(body, NO_DEPTH_LIMIT)
  if (json.kind === 'invalid') {
    if (accepted) return { accepted, mismatch: `refused at byte ${json.at}: ${json.reason}` }
    const inside = json.at >= 0 && json.at <= body.length
    return inside ? { accepted } : { accepted, mismatch: `refused at byte ${json.at}, outside the body` }
  }
  if (!accepted) return { accepted, mismatch: `taken as ${json.kind}, JSON.parse refuses it` }
  if (json.kind === 'empty-array') {
    return elements.length === 0 ? { accepted } : { accepted, mismatch: 'taken as an empty array' }
  }
  const messages = splitStored(json.bytes)
  if (messages === undefined) return { accepted, mismatch: 'a message does not end in a comma and LF' }
  if (json.count !== messages.length) return { accepted, mismatch: `counted ${json.count} messages` }
  const values = messages.map((message): unknown => JSON.parse(new TextDecoder('utf-8').decode(message)))
  if (!isDeepStrictEqual(values, elements) || JSON.stringify(values) !== JSON.stringify(elements)) {
    return { accepted, mismatch: 'the messages have other values' }
  }
  return hasSameTokens(body, messages) ? { accepted } : { accepted, mismatch: 'a token has changed' }
}

function hasSameTokens(body: Uint8Array, messages: readonly Uint8Array[]): boolean {
  const marked = body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf
  const expected = String(tokensOf(marked ? body.subarray(3) : body))
  const stored = messages.map((message) => String(tokensOf(message))).join(`,${COMMA},`)
  return stored === expected || `${0x5b},${stored},${0x5d}` === expected
}
