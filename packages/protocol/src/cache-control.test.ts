import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { cacheControl } from './cache-control.ts'
import type { Expiry } from './expiry.ts'
import type { Slice } from './slice.ts'
import { parseStreamPath } from './stream-path.ts'
import { evolve, PLAIN_CONFIG, type StreamEvent, type StreamState, streamId } from './stream-state.ts'

const NOW = Date.UTC(2026, 0, 1)
const TAIL = 10
const runs = { seed: 20_241_009, numRuns: 5000 }

/** A stream of ten bytes, last used at `NOW`. */
function stream(expiry: Expiry, closed: boolean): StreamState {
  const path = parseStreamPath('a')
  if (path.kind !== 'stream') throw new Error('no stream path')
  const config = { ...PLAIN_CONFIG, id: streamId('1'), path: path.path, expiry }
  const events: readonly StreamEvent[] = [
    { kind: 'created', config, atMs: NOW },
    {
      kind: 'appended',
      unit: { sizeBytes: TAIL, messages: 1 },
      closes: closed,
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

function slice(state: StreamState, from: number, to: number): Slice {
  return { state, from, to, pieces: [new Uint8Array(to - from)] }
}

const never: Expiry = { kind: 'never' }
const open = stream(never, false)
const closed = stream(never, true)

function at(secondsFromNow: number): StreamState {
  const instantMs = NOW + secondsFromNow * 1000
  return stream({ kind: 'at', instantMs, text: new Date(instantMs).toISOString() }, false)
}

/** Seconds that a directive gives, 0 when it is not there. */
function seconds(value: string, directive: string): number {
  return Number(new RegExp(`(?:^|, )${directive}=(\\d+)`).exec(value)?.[1] ?? 0)
}

describe('Cache-Control of a read answer', () => {
  it.each([
    ['a chunk', slice(open, 0, 4)],
    ['data up to the tail', slice(open, 4, TAIL)],
    ['a chunk of a closed stream', slice(closed, 0, 4)],
    ['the last data of a closed stream', slice(closed, 4, TAIL)],
    ['the end of a closed stream', slice(closed, TAIL, TAIL)],
  ])('R-163: lets %s be kept for a minute, and for five more while it is asked for again', (_, answer) => {
    expect(cacheControl(answer, 'public', NOW)).toBe('public, max-age=60, stale-while-revalidate=300')
    expect(cacheControl(answer, 'private', NOW)).toBe('private, max-age=60, stale-while-revalidate=300')
  })

  it('keeps an answer without data at the tail of an open stream out of the way of new data', () => {
    expect(cacheControl(slice(open, TAIL, TAIL), 'public', NOW)).toBe('no-cache')
  })

  it.each([
    ['a year', 365 * 86_400, 'public, max-age=60, stale-while-revalidate=300'],
    ['six minutes', 360, 'public, max-age=60, stale-while-revalidate=300'],
    ['five minutes', 300, 'public, max-age=60, stale-while-revalidate=240'],
    ['61.9 seconds', 61.9, 'public, max-age=60, stale-while-revalidate=1'],
    ['a minute', 60, 'public, max-age=60'],
    ['1.5 seconds', 1.5, 'public, max-age=1'],
    ['less than a second', 0.999, 'no-store'],
    ['no time at all', 0, 'no-store'],
  ])('R-164: is never longer than the stream lives: %s', (_, left, value) => {
    expect(cacheControl(slice(at(left), 0, TAIL), 'public', NOW)).toBe(value)
    const sliding = stream({ kind: 'ttl', ttlSeconds: left }, false)
    expect(cacheControl(slice(sliding, 0, TAIL), 'public', NOW)).toBe(value)
  })

  it('R-164: counts the window of a TTL from the last use', () => {
    const sliding = stream({ kind: 'ttl', ttlSeconds: 40 }, false)
    expect(cacheControl(slice(sliding, 0, TAIL), 'public', NOW + 30_000)).toBe('public, max-age=10')
    expect(cacheControl(slice(sliding, 0, TAIL), 'public', NOW + 50_000)).toBe('no-store')
  })

  it('R-164: adds up to no more than what is left', () => {
    const property = fc.property(fc.integer({ min: -10_000, max: 1_000_000 }), (leftMs) => {
      const value = cacheControl(slice(at(leftMs / 1000), 0, TAIL), 'public', NOW)
      const [fresh, stale] = [seconds(value, 'max-age'), seconds(value, 'stale-while-revalidate')]
      const kept = (fresh + stale) * 1000
      return kept <= Math.max(0, leftMs) && fresh <= 60 && stale <= 300 && (kept > 0 || value === 'no-store')
    })
    expect(fc.check(property, runs).counterexample).toBeNull()
  })
})
