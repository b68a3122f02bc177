import { describe, expect, it } from 'vitest'
import type { ProducerStamp } from './producer-table.ts'
import { parseStreamPath } from './stream-path.ts'
import {
  dueAtMs,
  evolve,
  type ForkOrigin,
  ownFrom,
  PLAIN_CONFIG,
  type StreamConfig,
  type StreamEvent,
  type StreamState,
  streamId,
} from './stream-state.ts'

const NOW = Date.UTC(2026, 0, 1)

function configOf(given: Partial<StreamConfig> = {}): StreamConfig {
  const path = parseStreamPath('a')
  if (path.kind !== 'stream') throw new Error('no stream path')
  return { ...PLAIN_CONFIG, id: streamId('1'), path: path.path, ...given }
}

function fold(...events: readonly StreamEvent[]): StreamState | undefined {
  return events.reduce<StreamState | undefined>(evolve, undefined)
}

function created(given: Partial<StreamConfig> = {}): StreamEvent {
  return { kind: 'created', config: configOf(given), atMs: NOW }
}

type Appended = Extract<StreamEvent, { kind: 'appended' }>

function appended(given: Partial<Appended> = {}): StreamEvent {
  return {
    kind: 'appended',
    unit: { sizeBytes: 10, messages: 1 },
    closes: false,
    producer: undefined,
    streamSeq: undefined,
    forgetBeforeMs: undefined,
    atMs: NOW,
    ...given,
  }
}

const stamp: ProducerStamp = { id: 'p', epoch: 2, seq: 7 }

describe('created', () => {
  it('makes an open, empty stream that nobody has written to', () => {
    expect(fold(created({ contentType: 'Text/Plain; a=b', mediaType: 'text/plain' }))).toMatchObject({
      contentType: 'Text/Plain; a=b',
      mediaType: 'text/plain',
      format: 'text',
      createdAtMs: NOW,
      lastAccessMs: NOW,
      base: 0,
      tail: 0,
      cuts: [],
      closed: false,
      closedBy: undefined,
      streamSeq: undefined,
      refCount: 0,
      softDeleted: false,
    })
  })

  it('R-271: makes a fork without the Stream-Seq and the producers of its source', () => {
    const source = fold(created(), appended({ producer: stamp, streamSeq: '9' }), appended({ closes: true }))
    const fork: ForkOrigin = {
      sourcePath: configOf().path,
      sourceId: configOf().id,
      forkPosition: 10,
      subOffset: 0,
      ownFrom: 10,
      inherited: [{ id: configOf().id, from: 0, to: 10 }],
      ancestors: [configOf().path],
      expiryInherited: true,
      cuts: [],
    }
    const made = fold(created({ id: streamId('2'), fork }))
    expect(source?.producers.size).toBe(1)
    expect(made).toMatchObject({ tail: 10, closed: false, streamSeq: undefined, closedBy: undefined })
    expect(made?.producers.size).toBe(0)
    expect(made && ownFrom(made)).toBe(10)
  })

  it('R-071: makes a stream that knows nothing of an earlier one', () => {
    const earlier = fold(created(), appended({ closes: true, producer: stamp, streamSeq: '9' }))
    const later = evolve(earlier, created({ id: streamId('2') }))
    expect(later).toEqual(fold(created({ id: streamId('2') })))
  })
})

describe('the bytes of a stream', () => {
  it('are all its own when it is no fork', () => {
    const state = fold(created(), appended())
    expect(state && ownFrom(state)).toBe(0)
  })
})

describe('appended', () => {
  it('moves the tail by the size of the unit', () => {
    expect(fold(created(), appended(), appended({ unit: { sizeBytes: 5, messages: 2 } }))?.tail).toBe(15)
  })

  it('leaves the tail where it is without a unit', () => {
    expect(fold(created(), appended(), appended({ unit: undefined, closes: true }))?.tail).toBe(10)
  })

  it('closes, and remembers by which request of which producer', () => {
    expect(fold(created(), appended({ closes: true }))).toMatchObject({ closed: true, closedBy: undefined })
    expect(fold(created(), appended({ closes: true, producer: stamp }))).toMatchObject({
      closed: true,
      closedBy: stamp,
    })
  })

  it('remembers epoch and seq of a producer', () => {
    const state = fold(created(), appended({ producer: stamp, atMs: NOW + 5 }))
    expect(state?.producers.get('p')).toEqual({ epoch: 2, lastSeq: 7, updatedAtMs: NOW + 5 })
    expect(state?.closedBy).toBeUndefined()
  })

  it('R-105: remembers each producer beside the others', () => {
    const state = fold(
      created(),
      appended({ producer: stamp }),
      appended({ producer: { ...stamp, id: 'q' } }),
    )
    expect([...(state?.producers.entries() ?? [])].map(([id]) => id).sort()).toEqual(['p', 'q'])
  })

  it('leaves the producers alone without one', () => {
    const before = fold(created(), appended({ producer: stamp }))
    expect(evolve(before, appended())?.producers).toBe(before?.producers)
  })

  it('R-113: forgets idle producers when it says so', () => {
    const events = [
      created(),
      appended({ producer: stamp }),
      appended({ producer: { ...stamp, id: 'q' }, atMs: NOW + 5 }),
    ]
    const state = fold(
      ...events,
      appended({ producer: { ...stamp, id: 'r' }, forgetBeforeMs: NOW + 5, atMs: NOW + 9 }),
    )
    expect([...(state?.producers.entries() ?? [])].map(([id]) => id).sort()).toEqual(['q', 'r'])
  })

  it('remembers the last Stream-Seq, and keeps it when none is sent', () => {
    expect(fold(created(), appended({ streamSeq: '1' }), appended({ streamSeq: '2' }))?.streamSeq).toBe('2')
    expect(fold(created(), appended({ streamSeq: '1' }), appended())?.streamSeq).toBe('1')
  })

  it('R-237, R-240: restarts the sliding window, with or without data', () => {
    const sliding = created({ expiry: { kind: 'ttl', ttlSeconds: 60 } })
    const states = [
      fold(sliding),
      fold(sliding, appended({ atMs: NOW + 1000 })),
      fold(sliding, appended({ unit: undefined, closes: true, atMs: NOW + 2000 })),
    ]
    expect(states.map((state) => state && dueAtMs(state))).toEqual([NOW + 60_000, NOW + 61_000, NOW + 62_000])
  })
})

describe('referenced and released', () => {
  it('count the forks', () => {
    expect(fold(created(), { kind: 'referenced' }, { kind: 'referenced' })?.refCount).toBe(2)
    expect(
      fold(created(), { kind: 'referenced' }, { kind: 'referenced' }, { kind: 'released' })?.refCount,
    ).toBe(1)
  })

  it('R-295: do not count as a use of the source', () => {
    const before = fold(created({ expiry: { kind: 'ttl', ttlSeconds: 60 } }))
    expect(evolve(before, { kind: 'referenced' })?.lastAccessMs).toBe(NOW)
  })
})

describe('soft-deleted', () => {
  it('keeps all data, and takes the deadline away', () => {
    const state = fold(created({ expiry: { kind: 'ttl', ttlSeconds: 60 } }), appended(), {
      kind: 'referenced',
    })
    const deleted = evolve(state, { kind: 'soft-deleted' })
    expect(deleted).toEqual({ ...state, softDeleted: true })
    expect(deleted && dueAtMs(deleted)).toBeUndefined()
  })
})

describe('purged', () => {
  it('leaves nothing', () => {
    expect(fold(created(), appended({ producer: stamp }), { kind: 'purged' })).toBeUndefined()
  })
})

describe('a stream that does not exist', () => {
  it.each([
    appended(),
    { kind: 'referenced' } satisfies StreamEvent,
    { kind: 'released' } satisfies StreamEvent,
    { kind: 'soft-deleted' } satisfies StreamEvent,
    { kind: 'purged' } satisfies StreamEvent,
  ])('can only be created: $kind is a bug', (event) => {
    expect(() => evolve(undefined, event)).toThrow('does not exist')
  })
})
