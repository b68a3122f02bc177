import { describe, expect, it } from 'vitest'
import type { Expiry } from './expiry.ts'
import { isExpired, livenessOf, missing } from './liveness.ts'
import { parseStreamPath } from './stream-path.ts'
import { evolve, PLAIN_CONFIG, type StreamEvent, type StreamState, streamId } from './stream-state.ts'

const NOW = Date.UTC(2026, 0, 1)
const never: Expiry = { kind: 'never' }
const minute: Expiry = { kind: 'ttl', ttlSeconds: 60 }
const instant: Expiry = { kind: 'at', instantMs: NOW + 60_000, text: '2026-01-01T00:01:00Z' }

function stream(expiry: Expiry, ...events: readonly StreamEvent[]): StreamState {
  const path = parseStreamPath('a')
  if (path.kind !== 'stream') throw new Error('no stream path')
  const config = { ...PLAIN_CONFIG, id: streamId('1'), path: path.path, expiry }
  const all: readonly StreamEvent[] = [{ kind: 'created', config, atMs: NOW }, ...events]
  const state = all.reduce<StreamState | undefined>(evolve, undefined)
  if (state === undefined) throw new Error('no stream')
  return state
}

function usedAt(atMs: number): StreamEvent {
  const unit = { sizeBytes: 1, messages: 1 }
  const rest = { producer: undefined, streamSeq: undefined, forgetBeforeMs: undefined }
  return { kind: 'appended', unit, closes: false, ...rest, atMs }
}

describe('a stream', () => {
  it('is absent when there is none', () => {
    expect(livenessOf(undefined, NOW)).toEqual({ kind: 'absent' })
  })

  it('is live, with its state, when it does not expire', () => {
    const state = stream(never)
    expect(livenessOf(state, Number.MAX_SAFE_INTEGER)).toEqual({ kind: 'live', state })
  })

  it.each([
    ['a TTL', minute],
    ['an instant', instant],
  ])('R-234, R-235: with %s is live to its deadline and absent from that instant on', (_, expiry) => {
    const state = stream(expiry)
    expect(livenessOf(state, NOW + 59_999).kind).toBe('live')
    expect(livenessOf(state, NOW + 60_000).kind).toBe('absent')
    expect(livenessOf(state, NOW + 3_600_000).kind).toBe('absent')
  })

  it('R-237: with a TTL lives on when it is used', () => {
    expect(livenessOf(stream(minute, usedAt(NOW + 50_000)), NOW + 109_999).kind).toBe('live')
    expect(livenessOf(stream(minute, usedAt(NOW + 50_000)), NOW + 110_000).kind).toBe('absent')
  })

  it('R-242: with an instant does not live on when it is used', () => {
    expect(livenessOf(stream(instant, usedAt(NOW + 50_000)), NOW + 60_000).kind).toBe('absent')
  })

  it.each([
    ['a TTL of 0', { kind: 'ttl', ttlSeconds: 0 } satisfies Expiry],
    [
      'an instant that has passed',
      { kind: 'at', instantMs: 0, text: '1970-01-01T00:00:00Z' } satisfies Expiry,
    ],
  ])('R-233: with %s has expired as soon as it exists', (_, expiry) => {
    expect(livenessOf(stream(expiry), NOW).kind).toBe('absent')
  })

  it('R-294: that expires is gone while it has forks, and absent without them', () => {
    const source = stream(minute, { kind: 'referenced' })
    expect(livenessOf(source, NOW + 59_999).kind).toBe('live')
    expect(livenessOf(source, NOW + 60_000).kind).toBe('gone')
    expect(livenessOf(evolve(source, { kind: 'released' }), NOW + 60_000).kind).toBe('absent')
  })

  it.each([
    ['none', never],
    ['a TTL', minute],
    ['an instant', instant],
  ])('R-285: that was deleted while it has forks is gone, before and after its expiry: %s', (_, expiry) => {
    const source = stream(expiry, { kind: 'referenced' }, { kind: 'soft-deleted' })
    expect(livenessOf(source, NOW).kind).toBe('gone')
    expect(livenessOf(source, NOW + 3_600_000).kind).toBe('gone')
  })
})

describe('expiry', () => {
  it('does not come to a stream that is deleted already', () => {
    const source = stream(minute, { kind: 'referenced' }, { kind: 'soft-deleted' })
    expect(isExpired(source, NOW + 3_600_000)).toBe(false)
  })

  it('comes at the deadline, not before', () => {
    expect([NOW, NOW + 59_999, NOW + 60_000].map((at) => isExpired(stream(instant), at))).toEqual([
      false,
      false,
      true,
    ])
  })
})

describe('the answer for a stream that is not live', () => {
  it('is not found when it is absent, gone when it is gone', () => {
    expect(missing({ kind: 'absent' })).toEqual({ kind: 'not-found' })
    expect(missing({ kind: 'gone' })).toEqual({ kind: 'gone' })
  })
})
