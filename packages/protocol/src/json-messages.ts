/**
 * The body of a JSON-mode write, made into stored messages in one pass over its bytes: checks the whole
 * grammar (RFC 8259) and UTF-8, flattens a top-level array by one level, finds where each message ends.
 * Values are never parsed, so digits, escapes and duplicate keys stay as they came.
 *
 * This is the hot path of an append: a change here is measured with `bench/src/json-scan.ts` and fuzzed with
 * `bench/src/json-fuzz.ts`. Must not know streams, HTTP, Node or text decoders.
 */

/**
 * `bytes` is the stored form: each message's tokens, then `,` and LF (R-224). Outer whitespace is gone, and CR,
 * LF and TAB between tokens are spaces, so LF occurs only as a message end. It has a buffer of its own, of
 * exactly its size. `at` counts bytes from the start of the body; `reason` is for people.
 */
export type JsonMessages =
  | { readonly kind: 'messages'; readonly bytes: Uint8Array; readonly count: number }
  | { readonly kind: 'empty-array' }
  | { readonly kind: 'invalid'; readonly at: number; readonly reason: string }

const TAB = 0x09
const LF = 0x0a
const CR = 0x0d
const SPACE = 0x20
const QUOTE = 0x22
const COMMA = 0x2c
const COLON = 0x3a
const BACKSLASH = 0x5c
const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d

/** Words of four bytes are read past the end of the body, and copied past the end of a message. */
const SLACK = 8

/** Bodies up to two thirds of this share one workspace; a larger one gets its own for the call, so pins nothing. */
const WORKSPACE_BYTES = 512 * 1024
const workspace: Uint8Array = new Uint8Array(WORKSPACE_BYTES)
const workspaceView: DataView = new DataView(workspace.buffer)

/** The closing byte of each open array or object, the same way: kept for usual depths. */
const NESTING_KEPT = 4096
const nestingKept: Uint8Array = new Uint8Array(NESTING_KEPT)

const isSimpleEscape: Uint8Array = new Uint8Array(256)
for (const c of '"\\/bfnrt') isSimpleEscape[c.charCodeAt(0)] = 1

const AFTER_ELEMENT = "',' or ']' after an array element"

/** What the scan expected where it last failed. */
let expectation = ''

/**
 * Checks a body and encodes its messages (R-217 to R-225). A leading byte order mark is dropped. `maxDepth`
 * bounds open arrays and objects together, a flattened top-level array included; the scan does not recurse.
 */
export function encodeJsonMessages(body: Uint8Array, maxDepth: number): JsonMessages {
  const size = body.length
  // A message grows by at most one byte when it loses its brackets and commas and gains its end. Half the
  // body's size is therefore room enough to write messages in front of the text that is still to be read.
  const start = (size >>> 1) + SLACK
  const end = start + size
  const shared = end + SLACK <= WORKSPACE_BYTES
  const bytes = shared ? workspace : new Uint8Array(end + SLACK)
  const view = shared ? workspaceView : new DataView(bytes.buffer)
  const open = Math.min(maxDepth, size)
  const nesting = open <= NESTING_KEPT ? nestingKept : new Uint8Array(open)
  bytes.set(body, start)
  bytes[end] = 0 // No token goes on past a zero byte, so nothing below asks where the text ends.

  const marked = bytes[start] === 0xef && bytes[start + 1] === 0xbb && bytes[start + 2] === 0xbf
  const from = skipSpace(bytes, marked ? start + 3 : start)
  if (bytes[from] === OPEN_ARRAY && maxDepth > 0) {
    return flattenArray(bytes, view, nesting, from + 1, start, end, maxDepth)
  }
  const to = skipValue(bytes, view, nesting, from, 0, maxDepth)
  const rest = to < 0 ? to : skipRest(bytes, to, end)
  if (rest < 0) return invalid(bytes, ~rest, start, end)
  bytes[to] = COMMA
  bytes[to + 1] = LF
  return { kind: 'messages', bytes: bytes.slice(from, to + 2), count: 1 }
}

function flattenArray(
  bytes: Uint8Array,
  view: DataView,
  nesting: Uint8Array,
  from: number,
  start: number,
  end: number,
  maxDepth: number,
): JsonMessages {
  let i = skipSpace(bytes, from)
  let written = 0
  let count = 0
  let more = bytes[i] !== CLOSE_ARRAY
  if (!more) i++
  while (more) {
    i = skipSpace(bytes, i)
    const to = skipValue(bytes, view, nesting, i, 1, maxDepth)
    if (to < 0) return invalid(bytes, ~to, start, end)
    written = writeMessage(bytes, view, written, i, to)
    count++
    i = skipSpace(bytes, to)
    more = bytes[i] === COMMA
    if (!more && bytes[i] !== CLOSE_ARRAY) {
      return invalid(bytes, ~fail(i, AFTER_ELEMENT), start, end)
    }
    i++
  }
  const rest = skipRest(bytes, i, end)
  if (rest < 0) return invalid(bytes, ~rest, start, end)
  if (count === 0) return { kind: 'empty-array' }
  return { kind: 'messages', bytes: bytes.slice(0, written), count }
}

/** Moves the message at from..to down to `written`; it may reach up to its own text, never past it. */
function writeMessage(bytes: Uint8Array, view: DataView, written: number, from: number, to: number): number {
  const end = written + to - from
  if (to - from > 192) {
    bytes.copyWithin(written, from, to)
  } else {
    for (let i = from, o = written; i < to; i += 4, o += 4) view.setInt32(o, view.getInt32(i, true), true)
  }
  bytes[end] = COMMA
  bytes[end + 1] = LF
  return end + 2
}

// Each skip function takes the index where its token starts and returns the index after it, or, when the text
// is not JSON, the complement (~) of the index of the first byte that is wrong. `| 0` on an index keeps it a
// machine integer in V8, which otherwise tags and untags it at every call and loop (12 percent of the time).

/**
 * A value of any depth, inside `outerDepth` levels. `close` is the byte that closes the innermost array or object
 * of the value, 0 outside of all; `nesting` remembers those further out.
 */
function skipValue(
  bytes: Uint8Array,
  view: DataView,
  nesting: Uint8Array,
  from: number,
  outerDepth: number,
  maxDepth: number,
): number {
  let i = from | 0
  let depth = outerDepth | 0
  let close = 0
  let atKey = false
  for (;;) {
    let c = bytes[i] ?? 0
    if (c <= SPACE) {
      i = skipSpace(bytes, i) | 0
      c = bytes[i] ?? 0
    }
    if (c === QUOTE) {
      i = skipString(bytes, view, i + 1) | 0
      if (i < 0) return i
      if (atKey) {
        i = skipColon(bytes, i) | 0
        if (i < 0) return i
        atKey = false
        continue
      }
    } else if (atKey) {
      return fail(i, 'a property name in double quotes')
    } else if (c === OPEN_OBJECT || c === OPEN_ARRAY) {
      if (depth >= maxDepth) return fail(i, `at most ${maxDepth} levels of arrays and objects`)
      nesting[depth] = close
      depth = (depth + 1) | 0
      close = c === OPEN_OBJECT ? CLOSE_OBJECT : CLOSE_ARRAY
      i = skipSpace(bytes, i + 1) | 0
      if (bytes[i] !== close) {
        atKey = close === CLOSE_OBJECT
        continue
      }
    } else {
      i = (c < 0x40 ? skipNumber(bytes, view, i) : skipLiteral(bytes, view, i)) | 0
      if (i < 0) return i
    }
    // After a value, or before the end of an empty array or object.
    for (;;) {
      if (close === 0) return i
      c = bytes[i] ?? 0
      if (c <= SPACE) {
        i = skipSpace(bytes, i) | 0
        c = bytes[i] ?? 0
      }
      i = (i + 1) | 0
      if (c === COMMA) break
      if (c !== close) return failAfterValue(i - 1, close)
      depth = (depth - 1) | 0
      close = nesting[depth] ?? 0
    }
    atKey = close === CLOSE_OBJECT
  }
}

function skipColon(bytes: Uint8Array, from: number): number {
  const i = bytes[from] === COLON ? from | 0 : skipSpace(bytes, from) | 0
  return bytes[i] === COLON ? (i + 1) | 0 : fail(i, "':' after a property name")
}

/** The rest of a string, from the byte after its opening quote. Takes four bytes at a time. */
function skipString(bytes: Uint8Array, view: DataView, from: number): number {
  let i = from | 0
  for (;;) {
    const four = view.getInt32(i, true)
    // Sets the top bit of each byte that is a control character or '"' (both are below 0x21 after the first
    // xor), '\', or not ASCII. A borrow can only set bits above the first such byte, and only that one counts.
    const stops = ((four ^ 0x02020202) - 0x21212121) | ((four ^ 0x5c5c5c5c) - 0x01010101) | four
    const stop = stops & 0x80808080
    if (stop === 0) {
      i = (i + 4) | 0
      continue
    }
    i = (i + firstByteOf(stop)) | 0
    const c = bytes[i] ?? 0
    if (c === QUOTE) return (i + 1) | 0
    if (c >= 0x80) i = skipMultibyte(bytes, i) | 0
    else if (c === BACKSLASH) i = skipEscape(bytes, i) | 0
    else return fail(i, `'"' at the end of the string (control characters need an escape)`)
    if (i < 0) return i
  }
}

/** The place, 0 to 3, of the first byte of a little-endian word that has its top bit set. */
function firstByteOf(stop: number): number {
  return (31 - Math.clz32(stop & -stop)) >>> 3
}

function skipEscape(bytes: Uint8Array, from: number): number {
  const c = bytes[from + 1] ?? 0
  if (c === 0x75) {
    for (let i = from + 2; i < from + 6; i++) {
      if (!isHexDigit(bytes[i] ?? 0)) return fail(i, 'four hexadecimal digits after \\u')
    }
    return from + 6
  }
  return isSimpleEscape[c] === 1 ? from + 2 : fail(from + 1, 'one of "\\/bfnrtu after a backslash')
}

function isHexDigit(c: number): boolean {
  const lower = c | 0x20
  return isDigit(c) || (lower >= 0x61 && lower <= 0x66)
}

function isDigit(c: number): boolean {
  return (c ^ 0x30) < 10
}

/** A run of characters outside ASCII, as in RFC 3629: no overlong form, no surrogate, nothing above U+10FFFF. */
function skipMultibyte(bytes: Uint8Array, from: number): number {
  let i = from | 0
  for (let c = bytes[i] ?? 0; c >= 0x80; c = bytes[i] ?? 0) {
    const second = bytes[i + 1] ?? 0
    if (c < 0xc2 || !isContinuation(second)) return fail(i, 'valid UTF-8')
    if (c < 0xe0) {
      i = (i + 2) | 0
      continue
    }
    if (!isContinuation(bytes[i + 2] ?? 0)) return fail(i, 'valid UTF-8')
    if (c < 0xf0) {
      if ((c === 0xe0 && second < 0xa0) || (c === 0xed && second > 0x9f)) return fail(i, 'valid UTF-8')
      i = (i + 3) | 0
      continue
    }
    if (c > 0xf4 || !isContinuation(bytes[i + 3] ?? 0)) return fail(i, 'valid UTF-8')
    if ((c === 0xf0 && second < 0x90) || (c === 0xf4 && second > 0x8f)) return fail(i, 'valid UTF-8')
    i = (i + 4) | 0
  }
  return i
}

function isContinuation(c: number): boolean {
  return (c & 0xc0) === 0x80
}

/** Anything that is no string, array, object or literal ends here too, as a number without a digit. */
function skipNumber(bytes: Uint8Array, view: DataView, from: number): number {
  let i = from | 0
  let c = bytes[i] ?? 0
  if (c === 0x2d) {
    i = (i + 1) | 0
    c = bytes[i] ?? 0
  }
  if (!isDigit(c)) return fail(i, i === from ? 'a JSON value' : "a digit after '-'")
  const leadsWithZero = c === 0x30
  do {
    i = (i + 1) | 0
    c = bytes[i] ?? 0
  } while (isDigit(c) && !leadsWithZero)
  if (c === 0x2e) {
    const first = (i + 1) | 0
    i = skipDigits(view, first) | 0
    if (i === first) return fail(i, "a digit after '.'")
    c = bytes[i] ?? 0
  }
  if ((c | 0x20) === 0x65) {
    c = bytes[i + 1] ?? 0
    const first = (i + (c === 0x2b || c === 0x2d ? 2 : 1)) | 0
    i = skipDigits(view, first) | 0
    if (i === first) return fail(i, 'a digit in the exponent')
  }
  return i
}

/** Fractions are often 15 digits long: four at a time. */
function skipDigits(view: DataView, from: number): number {
  let i = from | 0
  for (;;) {
    const four = view.getInt32(i, true) ^ 0x30303030
    const stop = ((four + 0x76767676) | four) & 0x80808080
    if (stop !== 0) return (i + firstByteOf(stop)) | 0
    i = (i + 4) | 0
  }
}

function skipLiteral(bytes: Uint8Array, view: DataView, from: number): number {
  const four = view.getInt32(from, true)
  if (four === 0x65757274 || four === 0x6c6c756e) return from + 4 // 'true', 'null'
  if (four === 0x736c6166 && bytes[from + 4] === 0x65) return from + 5 // 'fals', 'e'
  const word = ['true', 'null', 'false'].find((literal) => literal.charCodeAt(0) === bytes[from])
  if (word === undefined) return fail(from, 'a JSON value')
  let right = 1
  while (bytes[from + right] === word.charCodeAt(right)) right++
  return fail(from + right, `the word ${word}`)
}

/** Also turns the CR, LF and TAB that it passes into spaces. */
function skipSpace(bytes: Uint8Array, from: number): number {
  let i = from | 0
  for (;;) {
    const c = bytes[i] ?? 0
    if (c !== SPACE) {
      if (c !== LF && c !== CR && c !== TAB) return i
      bytes[i] = SPACE
    }
    i = (i + 1) | 0
  }
}

function skipRest(bytes: Uint8Array, from: number, end: number): number {
  const rest = skipSpace(bytes, from)
  return rest === end ? rest : fail(rest, 'the end of the text after the JSON value')
}

function fail(at: number, expected: string): number {
  expectation = expected
  return ~at
}

function failAfterValue(at: number, close: number): number {
  return fail(at, close === CLOSE_OBJECT ? "',' or '}' after a property value" : AFTER_ELEMENT)
}

function invalid(bytes: Uint8Array, at: number, start: number, end: number): JsonMessages {
  const c = bytes[at] ?? 0
  const found =
    c > SPACE && c < 0x7f ? `'${String.fromCharCode(c)}'` : `byte 0x${c.toString(16).padStart(2, '0')}`
  const reason = `Expected ${expectation}, ${at === end ? 'but the text ends' : `found ${found}`}`
  return { kind: 'invalid', at: at - start, reason }
}

/** The position after the `n`-th message of a stored slice that starts at a message; undefined if it holds fewer. */
export function endOfMessage(stored: Uint8Array, n: number): number | undefined {
  let end = 0
  for (let i = 0; i < n; i++) {
    end = stored.indexOf(LF, end) + 1
    if (end === 0) return undefined
  }
  return end
}
