import { describe, expect, it } from 'vitest'
import { decideRemove } from './decide-remove.ts'
import type { Decision, View } from './decision.ts'
import type { Expiry } from './expiry.ts'
import { parseStreamPath, type StreamPath } from './stream-path.ts'
import {
  evolve,
  type ForkOrigin,
  PLAIN_CONFIG,
  type StreamEvent,
  type StreamState,
  streamId,
} from './stream-state.ts'

const NOW = Date.UTC(2026, 0, 1)
const past: Expiry = { kind: 'at', instantMs: NOW, text: '2026-01-01T00:00:00Z' }
const referenced: StreamEvent = { kind: 'referenced' }
const softDeleted: StreamEvent = { kind: 'soft-deleted' }

function path(name: string): StreamPath {
  const parsed = parseStreamPath(name)
  if (parsed.kind !== 'stream') throw new Error(`${name} is no stream path`)
  return parsed.path
}

interface Given {
  readonly from?: StreamState
  readonly expiry?: Expiry
  readonly events?: readonly StreamEvent[]
}

/** A stream by its name, perhaps a fork, with what happened to it. */
function stream(name: string, { from, expiry = { kind: 'never' }, events = [] }: Given = {}): StreamState {
  const fork: ForkOrigin | undefined = from && {
    sourcePath: from.path,
    sourceId: from.id,
    forkPosition: 0,
    subOffset: 0,
    ownFrom: 0,
    inherited: [],
    ancestors: [from.path, ...(from.fork?.ancestors ?? [])],
    expiryInherited: false,
    cuts: [],
  }
  const config = { ...PLAIN_CONFIG, id: streamId(`id-${name}`), path: path(name), expiry, fork }
  const all: readonly StreamEvent[] = [{ kind: 'created', config, atMs: NOW }, ...events]
  const state = all.reduce<StreamState | undefined>(evolve, undefined)
  if (state === undefined) throw new Error('no stream')
  return state
}

function viewOf(...states: readonly StreamState[]): View {
  return { stream: (wanted) => states.find((state) => state.path === wanted) }
}

/** What a removal does: `a purged, b released` or the kind of the rejection. */
function remove(name: string, because: 'deleted' | 'expired', ...states: readonly StreamState[]): string {
  return summary(decideRemove(viewOf(...states), { kind: 'remove', path: path(name), because }, NOW))
}

function summary(decision: Decision): string {
  if (decision.kind === 'reject') return decision.rejection.kind
  if (decision.kind !== 'accept') return decision.kind
  return decision.changes
    .map((change) => `${change.path} ${change.events.map(({ kind }) => kind)}`)
    .join(', ')
}

const closing: StreamEvent = {
  kind: 'appended',
  unit: undefined,
  closes: true,
  producer: undefined,
  streamSeq: undefined,
  forgetBeforeMs: undefined,
  atMs: NOW,
}

describe('a DELETE', () => {
  it('R-132: purges a stream', () => {
    const command = { kind: 'remove', path: path('a'), because: 'deleted' } as const
    expect(decideRemove(viewOf(stream('a')), command, NOW)).toEqual({
      kind: 'accept',
      changes: [{ path: 'a', events: [{ kind: 'purged' }], payload: undefined }],
      outcome: { kind: 'deleted' },
    })
  })

  it('R-133: does not find what is not there', () => {
    expect(remove('a', 'deleted')).toBe('not-found')
  })

  it('R-134: purges a closed stream', () => {
    expect(remove('a', 'deleted', stream('a', { events: [closing] }))).toBe('a purged')
  })

  it('does not find a stream that has expired', () => {
    expect(remove('a', 'deleted', stream('a', { expiry: past }))).toBe('not-found')
  })

  it('R-284: keeps the data of a stream that has forks', () => {
    expect(remove('a', 'deleted', stream('a', { events: [referenced] }))).toBe('a soft-deleted')
  })

  it('R-285: finds a deleted stream gone', () => {
    expect(remove('a', 'deleted', stream('a', { events: [referenced, softDeleted] }))).toBe('gone')
  })

  it('R-294: finds an expired stream that has forks gone', () => {
    expect(remove('a', 'deleted', stream('a', { expiry: past, events: [referenced] }))).toBe('gone')
  })
})

describe('a DELETE of a fork', () => {
  const kept = stream('a', { events: [referenced] })
  const deleted = stream('a', { events: [referenced, softDeleted] })
  const deletedWithTwo = stream('a', { events: [referenced, referenced, softDeleted] })

  it('R-283: releases its source, which stays', () => {
    expect(remove('b', 'deleted', stream('b', { from: kept }), kept)).toBe('b purged, a released')
  })

  it('R-287: purges a deleted source with it when it was the last one', () => {
    expect(remove('b', 'deleted', stream('b', { from: deleted }), deleted)).toBe('b purged, a purged')
  })

  it('R-287: only releases a deleted source that has another fork', () => {
    expect(remove('b', 'deleted', stream('b', { from: deletedWithTwo }), deletedWithTwo)).toBe(
      'b purged, a released',
    )
  })

  it('R-287: goes on through a chain of deleted sources', () => {
    const middle = stream('b', { from: deleted, events: [referenced, softDeleted] })
    expect(remove('c', 'deleted', stream('c', { from: middle }), middle, deleted)).toBe(
      'c purged, b purged, a purged',
    )
  })

  it('R-287: stops at the first source that is still needed', () => {
    const alive = stream('b', { from: deleted, events: [referenced] })
    const middle = stream('c', { from: alive, events: [referenced, softDeleted] })
    expect(remove('d', 'deleted', stream('d', { from: middle }), middle, alive, deleted)).toBe(
      'd purged, c purged, b released',
    )
  })

  it('R-288: in the middle of a chain keeps its data, and its source', () => {
    const middle = stream('b', { from: kept, events: [referenced] })
    expect(remove('b', 'deleted', middle, kept)).toBe('b soft-deleted')
  })

  it('leaves a source that has expired, and not been removed yet, to its own removal', () => {
    const expired = stream('a', { expiry: past, events: [referenced] })
    expect(remove('b', 'deleted', stream('b', { from: expired }), expired)).toBe('b purged, a released')
  })

  it('fails when its source is not in view, or is another stream by now', () => {
    const fork = stream('b', { from: kept })
    const later = { ...kept, id: streamId('id-later') }
    expect(() => remove('b', 'deleted', fork)).toThrow('not in the view')
    expect(() => remove('b', 'deleted', fork, later)).toThrow('not in the view')
  })
})

describe('expiry', () => {
  it('purges a stream', () => {
    expect(remove('a', 'expired', stream('a', { expiry: past }))).toBe('a purged')
  })

  it('R-294: keeps the data of a stream that has forks', () => {
    expect(remove('a', 'expired', stream('a', { expiry: past, events: [referenced] }))).toBe('a soft-deleted')
  })

  it('R-293: of a fork releases its source', () => {
    const source = stream('a', { events: [referenced] })
    expect(remove('b', 'expired', stream('b', { from: source, expiry: past }), source)).toBe(
      'b purged, a released',
    )
  })

  it('R-293: of a fork purges deleted sources up the chain', () => {
    const first = stream('a', { events: [referenced, softDeleted] })
    const middle = stream('b', { from: first, events: [referenced, softDeleted] })
    const fork = stream('c', { from: middle, expiry: past })
    expect(remove('c', 'expired', fork, middle, first)).toBe('c purged, b purged, a purged')
  })

  it.each([
    ['is not there', []],
    ['does not expire', [stream('a')]],
    ['was used again', [stream('a', { expiry: { kind: 'ttl', ttlSeconds: 1 } })]],
    ['expires later', [stream('a', { expiry: { ...past, instantMs: NOW + 1 } })]],
    ['is deleted already', [stream('a', { expiry: past, events: [referenced, softDeleted] })]],
  ])('does nothing to a stream that %s', (_, states) => {
    expect(remove('a', 'expired', ...states)).toBe('not-found')
  })
})
