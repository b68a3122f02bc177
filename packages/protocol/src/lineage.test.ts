import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { clip, lineage, type OwnRange, ownerOf, ownRanges } from './lineage.ts'
import { parseStreamPath, type StreamPath } from './stream-path.ts'
import {
  evolve,
  type ForkOrigin,
  PLAIN_CONFIG,
  type StreamEvent,
  type StreamState,
  streamId,
} from './stream-state.ts'

const runs = { seed: 20_241_009, numRuns: 3000 }

function path(raw: string): StreamPath {
  const parsed = parseStreamPath(raw)
  if (parsed.kind !== 'stream') throw new Error(`${raw} is no stream path`)
  return parsed.path
}

function create(name: string, fork: ForkOrigin | undefined, ownBytes: number): StreamState {
  const events: readonly StreamEvent[] = [
    { kind: 'created', config: { ...PLAIN_CONFIG, id: streamId(name), path: path(name), fork }, atMs: 0 },
    ...(ownBytes > 0 ? [append(ownBytes)] : []),
  ]
  const state = events.reduce<StreamState | undefined>(evolve, undefined)
  if (state === undefined) throw new Error('no stream')
  return state
}

function append(sizeBytes: number): StreamEvent {
  const rest = { producer: undefined, streamSeq: undefined, forgetBeforeMs: undefined, atMs: 0 }
  return { kind: 'appended', unit: { sizeBytes, messages: 1 }, closes: false, ...rest }
}

/** A fork that leaves its source at a position and then has so many bytes of its own. */
function forkOf(source: StreamState, name: string, ownFrom: number, ownBytes: number): StreamState {
  const origin: ForkOrigin = {
    sourcePath: source.path,
    sourceId: source.id,
    forkPosition: ownFrom,
    subOffset: 0,
    ownFrom,
    inherited: clip(lineage(source), 0, ownFrom),
    ancestors: [source.path, ...(source.fork?.ancestors ?? [])],
    expiryInherited: true,
    cuts: [],
  }
  return create(name, origin, ownBytes)
}

function summary(ranges: readonly OwnRange[]): string {
  return ranges.map(({ id, from, to }) => `${id} ${from}-${to}`).join(', ')
}

const root = create('a', undefined, 100)
const child = forkOf(root, 'b', 60, 40)
const grandchild = forkOf(child, 'c', 80, 20)

describe('the lineage of a stream', () => {
  it('is itself when it is no fork', () => {
    expect(summary(lineage(root))).toBe('a 0-100')
  })

  it('R-273: is what it inherits, then its own', () => {
    expect(summary(lineage(child))).toBe('a 0-60, b 60-100')
  })

  it('R-279: goes back through a chain of forks', () => {
    expect(summary(lineage(grandchild))).toBe('a 0-60, b 60-80, c 80-100')
  })

  it('leaves out ancestors of which nothing is inherited', () => {
    expect(summary(lineage(forkOf(child, 'c', 30, 5)))).toBe('a 0-30, c 30-35')
    expect(summary(lineage(forkOf(child, 'c', 0, 5)))).toBe('c 0-5')
  })

  it('grows at its end, with its own appends', () => {
    expect(summary(lineage(evolve(child, append(7)) ?? root))).toBe('a 0-60, b 60-107')
  })
})

describe('the ranges of a read', () => {
  it.each([
    ['everything', 0, 100, 'a 0-60, b 60-80, c 80-100'],
    ['inherited bytes only', 10, 50, 'a 10-50'],
    ['own bytes only', 85, 95, 'c 85-95'],
    ['own bytes from their first on', 80, 100, 'c 80-100'],
    ['across one border', 50, 70, 'a 50-60, b 60-70'],
    ['up to a border', 50, 60, 'a 50-60'],
    ['from a border', 60, 70, 'b 60-70'],
    ['across both borders', 59, 81, 'a 59-60, b 60-80, c 80-81'],
  ])('R-273: %s', (_, from, to, expected) => {
    expect(summary(ownRanges(grandchild, from, to))).toBe(expected)
  })

  it('are one range of a stream that is no fork', () => {
    expect(summary(ownRanges(root, 20, 30))).toBe('a 20-30')
  })
})

describe('the owner of a byte', () => {
  it.each([
    [0, 'a'],
    [59, 'a'],
    [60, 'b'],
    [79, 'b'],
    [80, 'c'],
    [99, 'c'],
    [100, undefined],
  ])('at %i is %s', (position, id) => {
    expect(ownerOf(grandchild, position)?.id).toBe(id)
  })
})

describe('any chain of forks', () => {
  const step = fc.tuple(fc.nat({ max: 1000 }), fc.nat({ max: 30 }))
  const chain = fc.array(step, { maxLength: 8 }).map((steps) => {
    return steps.reduce((source, [at, ownBytes], depth) => {
      return forkOf(source, `f${depth}`, at % (source.tail + 1), ownBytes)
    }, root)
  })
  const borders = fc.tuple(fc.nat({ max: 1000 }), fc.nat({ max: 1000 }))

  it('R-279: holds each position below the tail exactly once, in order', () => {
    const property = fc.property(chain, (state) => {
      const ranges = lineage(state).filter(({ from, to }) => from < to)
      const starts = [...ranges.map(({ from }) => from), state.tail]
      const ends = [0, ...ranges.map(({ to }) => to)]
      return String(starts) === String(ends)
    })
    expect(fc.check(property, runs).counterexample).toBeNull()
  })

  it('R-273: is read as the bytes of their owners', () => {
    const property = fc.property(chain, borders, (state, [a, b]) => {
      const from = Math.min(a, b) % (state.tail + 1)
      const to = Math.max(from, Math.min(state.tail, Math.max(a, b)))
      const read = ownRanges(state, from, to).flatMap(({ id, from: start, to: end }) => {
        return Array.from({ length: end - start }, (_, i) => `${id} ${start + i}`)
      })
      const owned = Array.from({ length: to - from }, (_, i) => `${ownerOf(state, from + i)?.id} ${from + i}`)
      return String(read) === String(owned)
    })
    expect(fc.check(property, runs).counterexample).toBeNull()
  })
})
