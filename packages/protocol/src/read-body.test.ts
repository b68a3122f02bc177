import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encodeJsonMessages } from './json-messages.ts'
import { readBody, withoutEnd } from './read-body.ts'
import type { Slice } from './slice.ts'
import { parseStreamPath } from './stream-path.ts'
import { evolve, PLAIN_CONFIG, type StreamState, streamId } from './stream-state.ts'

const runs = { seed: 20_241_009, numRuns: 2000 }
const encoder = new TextEncoder()

function stream(mediaType: string): StreamState {
  const path = parseStreamPath('a')
  if (path.kind !== 'stream') throw new Error('no stream path')
  const config = { ...PLAIN_CONFIG, contentType: mediaType, mediaType, id: streamId('1'), path: path.path }
  const state = evolve(undefined, { kind: 'created', config, atMs: 0 })
  if (state === undefined) throw new Error('no stream')
  return state
}

function slice(state: StreamState, ...pieces: readonly Uint8Array[]): Slice {
  return { state, from: 0, to: pieces.reduce((size, piece) => size + piece.length, 0), pieces }
}

function textOf(pieces: readonly Uint8Array[]): string {
  return pieces.map((piece) => new TextDecoder().decode(piece)).join('')
}

const json = stream('application/json')

describe('the body of a read', () => {
  it('is the stored bytes of a byte stream, not copied', () => {
    const pieces = [encoder.encode('ab'), encoder.encode('c,\n')]
    const body = readBody(slice(stream('text/plain'), ...pieces))
    expect(textOf(body)).toBe('abc,\n')
    expect(body.every((piece, i) => piece.buffer === pieces[i]?.buffer)).toBe(true)
  })

  it('R-226: is an empty array for an empty range in JSON mode', () => {
    expect(textOf(readBody(slice(json)))).toBe('[]')
  })

  it('is empty for an empty range of a byte stream', () => {
    expect(textOf(readBody(slice(stream('application/octet-stream'))))).toBe('')
  })

  it('R-216: is one array of the messages in JSON mode', () => {
    expect(textOf(readBody(slice(json, encoder.encode('1,\n'))))).toBe('[1]')
    expect(textOf(readBody(slice(json, encoder.encode('1,\n{"a":[]},\n'))))).toBe('[1,\n{"a":[]}]')
  })

  it('R-296: is one array of messages from several pieces', () => {
    expect(textOf(readBody(slice(json, encoder.encode('1,\n'), encoder.encode('2,\n3,\n'))))).toBe(
      '[1,\n2,\n3]',
    )
    expect(textOf(readBody(slice(json, encoder.encode('1,'), encoder.encode('\n'))))).toBe('[1]')
  })

  it('R-218: parses to the values that were appended', () => {
    const appended = fc.array(fc.jsonValue(), { minLength: 1, maxLength: 5 })
    const property = fc.property(appended, (values) => {
      const pieces = values.map((value) => {
        const messages = encodeJsonMessages(encoder.encode(`[${JSON.stringify(value)}]`), 512)
        return messages.kind === 'messages' ? messages.bytes : new Uint8Array(0)
      })
      return JSON.stringify(JSON.parse(textOf(readBody(slice(json, ...pieces))))) === JSON.stringify(values)
    })
    expect(fc.check(property, runs).counterexample).toBeNull()
  })
})

describe('pieces without their end', () => {
  it('lose bytes from the last pieces, and nothing else', () => {
    const piece = fc.uint8Array({ maxLength: 4 })
    const property = fc.property(fc.array(piece, { maxLength: 5 }), fc.nat({ max: 24 }), (pieces, count) => {
      const all = pieces.flatMap((one) => [...one])
      const kept = withoutEnd(pieces, count).flatMap((one) => [...one])
      return String(kept) === String(all.slice(0, Math.max(0, all.length - count)))
    })
    expect(fc.check(property, runs).counterexample).toBeNull()
  })
})
