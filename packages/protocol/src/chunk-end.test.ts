import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bytesToMessageEnd, incompleteBytes } from './chunk-end.ts'
import { planRead } from './plan-read.ts'
import { parseStreamPath } from './stream-path.ts'
import { evolve, PLAIN_CONFIG, type StreamEvent, type StreamState, streamId } from './stream-state.ts'

const NOW = Date.UTC(2026, 0, 1)
const runs = { seed: 20_241_009, numRuns: 2000 }
const encoder = new TextEncoder()

function bytes(text: string): Uint8Array {
  return encoder.encode(text)
}

/** A byte for each character, for what is no UTF-8. */
function latin1(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0))
}

function isUtf8(part: Uint8Array): boolean {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(part).length >= 0
  } catch {
    // The decoder throws to say no.
    return false
  }
}

/** The different results for the whole, and for every way to cut it into two pieces. */
function inEveryCut<T>(whole: Uint8Array, judge: (pieces: readonly Uint8Array[]) => T): readonly T[] {
  const cuts = Array.from({ length: Math.max(0, whole.length - 1) }, (_, at) => at + 1)
  const inTwo = cuts.map((at) => judge([whole.subarray(0, at), whole.subarray(at)]))
  return [...new Set([judge([whole]), ...inTwo])]
}

describe('a chunk of JSON messages', () => {
  it.each([
    ['one whole message', '1,\n', 0],
    ['two whole messages', '1,\n"ab",\n', 0],
    ['a message that has begun', '1,\n"a', 2],
    ['a message without its line feed', '1,\n2,', 2],
    ['a part of one message only', '"abc', 4],
    ['nothing', '', 0],
  ])('ends after its last whole message: %s', (_, text, incomplete) => {
    expect(inEveryCut(bytes(text), (pieces) => incompleteBytes(pieces, 'json'))).toEqual([incomplete])
  })

  it.each([
    ['the rest of a message', 'bc",\n1,\n', 5],
    ['a line feed only', '\n', 1],
    ['no end', 'abc', undefined],
    ['nothing', '', undefined],
  ])('goes on to the end of its message: %s', (_, text, length) => {
    expect(inEveryCut(bytes(text), bytesToMessageEnd)).toEqual([length])
  })
})

describe('a chunk of bytes', () => {
  it('ends anywhere', () => {
    expect(incompleteBytes([latin1('a\r\xe2\x82')], 'binary')).toBe(0)
  })
})

describe('a chunk of text', () => {
  it.each([
    ['ASCII', 'abcdefgh', 0],
    ['a whole character of two bytes', 'abcd\xc3\xa4', 0],
    ['one byte of two', 'abcd\xc3', 1],
    ['a whole character of three bytes', 'abcd\xe2\x82\xac', 0],
    ['one byte of three', 'abcd\xe2', 1],
    ['two bytes of three', 'abcd\xe2\x82', 2],
    ['two bytes of three that begin with the lowest lead', 'abcd\xe0\xa0', 2],
    ['a whole character of four bytes', 'abcd\xf0\x9f\x98\x80', 0],
    ['one byte of four', 'abcd\xf0', 1],
    ['two bytes of four', 'abcd\xf0\x9f', 2],
    ['three bytes of four', 'abcd\xf0\x9f\x98', 3],
    ['CR, which LF may follow', 'abcd\r', 1],
    ['CR LF', 'abcd\r\n', 0],
    ['LF', 'abcd\n', 0],
    ['continuation bytes that continue nothing', 'abcd\x80\x80\x80\x80\x80', 0],
    ['a continuation byte after ASCII', 'abcd\x80', 0],
  ])('R-209: keeps back what may belong together: %s', (_, text, incomplete) => {
    expect(inEveryCut(latin1(text), (pieces) => incompleteBytes(pieces, 'text'))).toEqual([incomplete])
  })

  it.each(['', '\xe2', '\xe2\x82', '\xf0\x9f\x98', '\r', '\x80'])(
    'is never empty because of that: %j',
    (text) => {
      expect(incompleteBytes([latin1(text)], 'text')).toBe(0)
    },
  )

  it('is left as it is or loses three bytes at most, whatever its bytes and pieces', () => {
    const piece = fc.uint8Array({ minLength: 1, maxLength: 6 })
    const property = fc.property(fc.array(piece, { maxLength: 5 }), (pieces) => {
      const size = pieces.reduce((sum, one) => sum + one.length, 0)
      const incomplete = incompleteBytes(pieces, 'text')
      return incomplete >= 0 && incomplete <= 3 && (incomplete < size || size === 0)
    })
    expect(fc.check(property, runs).counterexample).toBeNull()
  })
})

/** A stream of text with so many bytes. */
function textStream(sizeBytes: number): StreamState {
  const path = parseStreamPath('a')
  if (path.kind !== 'stream') throw new Error('no stream path')
  const type = { contentType: 'text/plain', mediaType: 'text/plain' }
  const events: readonly StreamEvent[] = [
    { kind: 'created', config: { ...PLAIN_CONFIG, ...type, id: streamId('1'), path: path.path }, atMs: NOW },
    {
      kind: 'appended',
      unit: { sizeBytes, messages: 1 },
      closes: false,
      producer: undefined,
      streamSeq: undefined,
      forgetBeforeMs: undefined,
      atMs: NOW,
    },
  ]
  const state = events.reduce<StreamState | undefined>(evolve, undefined)
  if (state === undefined) throw new Error('no stream')
  return state
}

/** The chunks that a reader gets who follows the offsets from the start. */
function chunksOf(text: Uint8Array, chunkBytes: number): readonly Uint8Array[] {
  const state = textStream(text.length)
  const chunks: Uint8Array[] = []
  for (let at = 0; at < state.tail; ) {
    const plan = planRead(state, { kind: 'position', position: at }, chunkBytes, NOW, 0)
    if (plan.kind !== 'data') throw new Error('the stream ended before its tail')
    const read = text.subarray(plan.from, plan.to)
    const incomplete = plan.to === state.tail ? 0 : incompleteBytes([read], 'text')
    if (incomplete >= read.length) throw new Error('the reader does not move')
    chunks.push(read.subarray(0, read.length - incomplete))
    at = plan.to - incomplete
  }
  return chunks
}

describe('a reader who follows a text from chunk to chunk', () => {
  const character = fc.constantFrom('a', '\r', '\n', '\r\n', '\u00e4', '\u20ac', '\u{1f600}')
  const text = fc
    .array(character, { minLength: 1, maxLength: 120 })
    .map((characters) => bytes(characters.join('')))
  const chunkBytes = fc.integer({ min: 8, max: 40 })

  it.each(['\u00e4', '\u20ac', '\u{1f600}'])(
    'R-209: gets %s in one piece where it lies across the border',
    (letter) => {
      const across = Array.from({ length: bytes(letter).length - 1 }, (_, before) => {
        return bytes(`${'a'.repeat(16 - 1 - before)}${letter}${'a'.repeat(16)}`)
      })
      expect(across.flatMap((whole) => chunksOf(whole, 16)).filter((chunk) => !isUtf8(chunk))).toEqual([])
    },
  )

  it('R-209: never gets a part of a character', () => {
    const property = fc.property(text, chunkBytes, (whole, size) => chunksOf(whole, size).every(isUtf8))
    expect(fc.check(property, runs).counterexample).toBeNull()
  })

  it('never gets CR at the end of one chunk and LF at the start of the next', () => {
    const property = fc.property(text, chunkBytes, (whole, size) => {
      const chunks = chunksOf(whole, size)
      return !chunks.some((chunk, i) => chunk.at(-1) === 0x0d && chunks[i + 1]?.at(0) === 0x0a)
    })
    expect(fc.check(property, runs).counterexample).toBeNull()
  })

  it('R-148: gets every byte once, in order', () => {
    const any = fc.oneof(text, fc.uint8Array({ minLength: 1, maxLength: 200 }))
    const property = fc.property(any, chunkBytes, (whole, size) => {
      const joined = chunksOf(whole, size).flatMap((chunk) => [...chunk])
      return joined.length === whole.length && joined.every((byte, at) => byte === whole[at])
    })
    expect(fc.check(property, runs).counterexample).toBeNull()
  })
})
