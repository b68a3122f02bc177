import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Expiry } from './expiry.ts'
import { parseRead, type ReadStart } from './parse-read.ts'
import { planRead, type ReadPlan } from './plan-read.ts'
import { parseQuery } from './query.ts'
import { parseStreamPath } from './stream-path.ts'
import { evolve, PLAIN_CONFIG, type StreamEvent, type StreamState, streamId } from './stream-state.ts'

const NOW = Date.UTC(2026, 0, 1)
const runs = { seed: 20_241_009, numRuns: 5000 }
const never: Expiry = { kind: 'never' }

function stream(tail: number, expiry: Expiry = never, ...events: readonly StreamEvent[]): StreamState {
  const path = parseStreamPath('a')
  if (path.kind !== 'stream') throw new Error('no stream path')
  const config = { ...PLAIN_CONFIG, id: streamId('1'), path: path.path, expiry }
  const all: readonly StreamEvent[] = [
    { kind: 'created', config, atMs: NOW },
    ...(tail > 0 ? [appended(tail, false)] : []),
    ...events,
  ]
  const state = all.reduce<StreamState | undefined>(evolve, undefined)
  if (state === undefined) throw new Error('no stream')
  return state
}

function appended(sizeBytes: number, closes: boolean): StreamEvent {
  const unit = sizeBytes === 0 ? undefined : { sizeBytes, messages: 1 }
  const producer = undefined
  return {
    kind: 'appended',
    unit,
    closes,
    producer,
    streamSeq: undefined,
    forgetBeforeMs: undefined,
    atMs: NOW,
  }
}

/** Where `GET ?offset=…` starts; without an offset when it is `undefined`. */
function start(offset: string | undefined): ReadStart {
  const parsed = parseRead(parseQuery(offset === undefined ? '' : `offset=${offset}`))
  if ('rejection' in parsed) throw new Error(`${offset} is refused`)
  return parsed.request.start
}

function position(at: number): ReadStart {
  return { kind: 'position', position: at }
}

/** The plan in short, with the state left out. */
function summary(plan: ReadPlan): string {
  switch (plan.kind) {
    case 'data':
      return `${plan.from} to ${plan.to}`
    case 'at-tail':
      return 'at the tail'
    case 'rejected':
      return plan.rejection.kind
  }
}

describe('a read of a live stream', () => {
  it.each([
    ['R-033: without an offset', undefined, '0 to 100'],
    ['R-032: from -1', '-1', '0 to 100'],
    ['from the zero offset', '0000000000000000_0000000000000000', '0 to 100'],
    ['R-040: from an offset inside', '0000000000000000_0000000000000040', '40 to 100'],
    ['R-040: from the offset before the last byte', '0000000000000000_0000000000000099', '99 to 100'],
    ['R-147: from the offset of the tail', '0000000000000000_0000000000000100', 'at the tail'],
    ['from now', 'now', 'at the tail'],
  ])('%s', (_, offset, plan) => {
    expect(summary(planRead(stream(100), start(offset), 1024, NOW, 0))).toBe(plan)
    expect(summary(planRead(stream(100, never, appended(0, true)), start(offset), 1024, NOW, 0))).toBe(plan)
  })

  it.each([undefined, '-1', 'now', '0000000000000000_0000000000000000'])(
    'R-047, R-146: of an empty stream from %s is at the tail',
    (offset) => {
      expect(summary(planRead(stream(0), start(offset), 1024, NOW, 0))).toBe('at the tail')
    },
  )

  it.each([
    '0000000000000000_0000000000000101',
    '0000000000000000_9007199254740991',
    '0000000000000000_9007199254740992',
    '0000000000000001_0000000000000000',
    '9999999999999999_9999999999999999',
  ])('R-038: from %s, beyond the tail, is refused', (offset) => {
    expect(summary(planRead(stream(100), start(offset), 1024, NOW, 0))).toBe('invalid-offset')
  })

  it('shows the state that it was planned on', () => {
    const state = stream(100)
    expect(planRead(state, position(0), 1024, NOW, 0)).toEqual({ kind: 'data', state, from: 0, to: 100 })
    expect(planRead(state, position(100), 1024, NOW, 0)).toEqual({ kind: 'at-tail', state })
  })
})

describe('a read of a stream that is not live', () => {
  const past: Expiry = { kind: 'at', instantMs: NOW, text: '2026-01-01T00:00:00Z' }
  const starts = ['-1', 'now', '0000000000000000_0000000000000040', '9999999999999999_9999999999999999']

  it.each(starts)('R-052, R-145: is not found when there is none, from %s', (offset) => {
    expect(summary(planRead(undefined, start(offset), 1024, NOW, 0))).toBe('not-found')
  })

  it.each(starts)('R-234, R-235: is not found when it has expired, from %s', (offset) => {
    expect(summary(planRead(stream(100, past), start(offset), 1024, NOW, 0))).toBe('not-found')
    expect(
      summary(planRead(stream(100, { kind: 'ttl', ttlSeconds: 1 }), start(offset), 1024, NOW + 1000, 0)),
    ).toBe('not-found')
  })

  it.each(starts)('R-285: is gone when it is kept for its forks only, from %s', (offset) => {
    const kept = stream(100, never, { kind: 'referenced' }, { kind: 'soft-deleted' })
    expect(summary(planRead(kept, start(offset), 1024, NOW, 0))).toBe('gone')
    expect(summary(planRead(stream(100, past, { kind: 'referenced' }), start(offset), 1024, NOW, 0))).toBe(
      'gone',
    )
  })
})

describe('a read that is longer than a chunk', () => {
  const inside = fc
    .tuple(fc.integer({ min: 1, max: 100_000 }), fc.integer({ min: 8, max: 5000 }), fc.nat({ max: 99_999 }))
    .filter(([tail, , from]) => from < tail)

  it('stops at a multiple of the chunk size', () => {
    expect(summary(planRead(stream(5000), position(0), 1024, NOW, 0))).toBe('0 to 1024')
    expect(summary(planRead(stream(5000), position(1), 1024, NOW, 0))).toBe('1 to 1024')
    expect(summary(planRead(stream(5000), position(1024), 1024, NOW, 0))).toBe('1024 to 2048')
    expect(summary(planRead(stream(5000), position(4096), 1024, NOW, 0))).toBe('4096 to 5000')
  })

  it('moves forward, is bounded, and ends at the tail or where the reads of others end', () => {
    const property = fc.property(inside, ([tail, chunkBytes, from]) => {
      const plan = planRead(stream(tail), position(from), chunkBytes, NOW, 0)
      if (plan.kind !== 'data') return false
      const isSharedEnd = plan.to === tail || plan.to % chunkBytes === 0
      return (
        plan.from === from &&
        plan.to > from &&
        plan.to <= Math.min(tail, from + chunkBytes + 4) &&
        isSharedEnd
      )
    })
    expect(fc.check(property, runs).counterexample).toBeNull()
  })

  it('R-148: reaches the tail when its ends are followed, with every byte once', () => {
    const property = fc.property(inside, ([tail, chunkBytes]) => {
      const state = stream(tail)
      let at = 0
      for (let step = 0; step <= tail / chunkBytes + 1 && at < tail; step++) {
        const plan = planRead(state, position(at), chunkBytes, NOW, 0)
        if (plan.kind !== 'data' || plan.from !== at) return false
        at = plan.to
      }
      return at === tail && planRead(state, position(at), chunkBytes, NOW, 0).kind === 'at-tail'
    })
    expect(fc.check(property, { ...runs, numRuns: 2000 }).counterexample).toBeNull()
  })
})
