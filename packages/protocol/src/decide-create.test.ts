import { describe, expect, it } from 'vitest'
import type { CreateCommand } from './command.ts'
import { decideCreate, type ForkPoint } from './decide-create.ts'
import type { Decision, View } from './decision.ts'
import { PROTOCOL_LIMITS } from './limits.ts'
import { lineage, ownRanges } from './lineage.ts'
import { livenessOf } from './liveness.ts'
import type { Outcome } from './outcome.ts'
import { parseCreate } from './parse-create.ts'
import type { Rejection } from './rejection.ts'
import { parseStreamPath, type StreamPath } from './stream-path.ts'
import { evolve, type StreamEvent, type StreamState, streamId } from './stream-state.ts'

const NOW = Date.UTC(2026, 0, 1)
const encoder = new TextEncoder()

type Headers = Readonly<Record<string, string>>
const text: Headers = { 'content-type': 'text/plain' }
const json: Headers = { 'content-type': 'application/json' }
const closed: Headers = { 'stream-closed': 'true' }

function path(name: string): StreamPath {
  const parsed = parseStreamPath(name)
  if (parsed.kind !== 'stream') throw new Error(`${name} is no stream path`)
  return parsed.path
}

let puts = 0

/** A PUT of a stream by its name; each has an id of its own. */
function put(name: string, headers: Headers = {}, body: string | Uint8Array = ''): CreateCommand {
  const context = { path: path(name), id: streamId(`id-${++puts}`), streamRoot: '/v1/stream/' }
  const bytes = typeof body === 'string' ? encoder.encode(body) : body
  const parsed = parseCreate(context, (header) => headers[header], bytes)
  if ('rejection' in parsed) throw new Error(`the request is refused: ${parsed.rejection.kind}`)
  return parsed.command
}

function forkedFrom(name: string, position?: number, subOffset?: number): Headers {
  return {
    'stream-forked-from': `/v1/stream/${name}`,
    ...(position === undefined
      ? {}
      : { 'stream-fork-offset': `${'0'.repeat(16)}_${String(position).padStart(16, '0')}` }),
    ...(subOffset === undefined ? {} : { 'stream-fork-sub-offset': String(subOffset) }),
  }
}

function viewOf(...states: readonly (StreamState | undefined)[]): View {
  return { stream: (wanted) => states.find((state) => state?.path === wanted) }
}

/** Where a store found the fork point: at the position as it is, or moved by what the sub-offset spans. */
function pointIn(source: StreamState, forkPosition: number, ownFrom = forkPosition): ForkPoint {
  return { kind: 'found', sourceId: source.id, forkPosition, ownFrom }
}

function refusedIn(source: StreamState): ForkPoint {
  const rejection: Rejection = {
    kind: 'bad-request',
    detail: 'Stream-Fork-Offset is past the end of the source.',
  }
  return { kind: 'refused', sourceId: source.id, rejection }
}

function decide(
  command: CreateCommand,
  states: readonly (StreamState | undefined)[] = [],
  point?: ForkPoint,
): Decision {
  return decideCreate(viewOf(...states), command, point, NOW, { producerIdleMs: undefined, generation: 0 })
}

function eventsFor(decision: Decision, name: string): readonly StreamEvent[] {
  const changes = decision.kind === 'accept' ? decision.changes : []
  return changes.filter((change) => change.path === name).flatMap(({ events }) => events)
}

/** The state of a stream once a decision is carried out. */
function after(decision: Decision, name: string, before?: StreamState): StreamState {
  const state = eventsFor(decision, name).reduce(evolve, before)
  if (state === undefined) throw new Error(`there is no ${name} after ${summary(decision)}`)
  return state
}

function appended(
  state: StreamState,
  sizeBytes: number,
  given: { streamSeq?: string; closes?: boolean } = {},
): StreamState {
  const event: StreamEvent = {
    kind: 'appended',
    unit: { sizeBytes, messages: 1 },
    closes: given.closes ?? false,
    producer: { id: 'p', epoch: 1, seq: 0 },
    streamSeq: given.streamSeq,
    forgetBeforeMs: undefined,
    atMs: NOW,
  }
  return evolve(state, event) ?? state
}

function created(name: string, headers: Headers = {}, body = ''): StreamState {
  return after(decide(put(name, headers, body)), name)
}

function softDeleted(state: StreamState): StreamState {
  const events: readonly StreamEvent[] = [{ kind: 'referenced' }, { kind: 'soft-deleted' }]
  return events.reduce<StreamState | undefined>(evolve, state) ?? state
}

function outcomeOf(decision: Decision): Outcome | undefined {
  return decision.kind === 'accept' || decision.kind === 'repeat' ? decision.outcome : undefined
}

function rejectionOf(decision: Decision): Rejection | undefined {
  return decision.kind === 'reject' ? decision.rejection : undefined
}

function summary(decision: Decision): string {
  return [decision.kind, outcomeOf(decision)?.kind ?? rejectionOf(decision)?.kind].filter(Boolean).join(' ')
}

describe('a PUT where no stream is', () => {
  it('R-055, R-063: creates it with its body as first data', () => {
    const command = put('a', { 'content-type': 'Text/Plain; charset=utf-8' }, 'abc')
    const decision = decide(command)
    expect(decision).toMatchObject({
      kind: 'accept',
      changes: [
        {
          path: 'a',
          events: [
            {
              kind: 'created',
              config: { id: command.id, contentType: 'Text/Plain; charset=utf-8' },
              atMs: NOW,
            },
            { kind: 'appended', unit: { sizeBytes: 3, messages: 1 }, closes: false },
          ],
          payload: encoder.encode('abc'),
        },
      ],
      outcome: {
        kind: 'created',
        path: 'a',
        contentType: 'Text/Plain; charset=utf-8',
        tail: 3,
        generation: 0,
        closed: false,
      },
    })
    expect(after(decision, 'a')).toMatchObject({ mediaType: 'text/plain', tail: 3, closed: false })
  })

  it('R-062: creates bytes that do not expire when it has no headers', () => {
    const state = created('a')
    expect(state).toMatchObject({
      contentType: 'application/octet-stream',
      format: 'binary',
      tail: 0,
      fork: undefined,
    })
    expect(state.expiry).toEqual({ kind: 'never' })
  })

  it('R-069, R-070: may create it closed, with or without data', () => {
    expect(created('a', closed)).toMatchObject({ closed: true, tail: 0 })
    expect(created('a', { ...text, ...closed }, 'abc')).toMatchObject({
      closed: true,
      tail: 3,
      closedBy: undefined,
    })
    expect(outcomeOf(decide(put('a', closed)))).toMatchObject({ kind: 'created', closed: true })
  })

  it.each(['', '[]', ' [ ] '])('R-213: creates an empty JSON stream with the body %j', (body) => {
    const decision = decide(put('a', json, body))
    expect(eventsFor(decision, 'a').map(({ kind }) => kind)).toEqual(['created'])
    expect(outcomeOf(decision)).toMatchObject({ kind: 'created', tail: 0 })
  })

  it('stores the messages of a JSON body', () => {
    expect(decide(put('a', json, '[1,[2]]'))).toMatchObject({
      changes: [
        { events: [{}, { unit: { sizeBytes: 8, messages: 2 } }], payload: encoder.encode('1,\n[2],\n') },
      ],
    })
  })

  it.each([
    ['broken JSON', encoder.encode('{"a":')],
    ['two values', encoder.encode('1 2')],
    ['whitespace only', encoder.encode(' ')],
    ['invalid UTF-8', Uint8Array.of(0x22, 0xff, 0x22)],
  ])('R-220, R-225: is refused in JSON mode with %s', (_, body) => {
    expect(summary(decide(put('a', json, body)))).toBe('reject invalid-json')
    expect(summary(decide(put('a', text, body)))).toBe('accept created')
  })

  it.each([{ 'stream-ttl': '0' }, { 'stream-expires-at': '2001-01-01T00:00:00Z' }])(
    'R-233: creates a stream that has expired at once: %j',
    (headers: Headers) => {
      expect(livenessOf(created('a', { ...text, ...headers }, 'abc'), NOW).kind).toBe('absent')
    },
  )
})

describe('a PUT where a stream is', () => {
  const ttl = (seconds: number): Headers => ({ 'stream-ttl': String(seconds) })
  const at = (instant: string): Headers => ({ 'stream-expires-at': instant })

  it.each<[string, Headers, Headers, string]>([
    ['R-058: the same', { ...text, ...ttl(60) }, { ...text, ...ttl(60) }, 'repeat exists'],
    ['R-059: another type', text, json, 'reject already-exists'],
    ['R-059: no type, where it is not the default', text, {}, 'reject already-exists'],
    [
      'R-058: no type, where it is the default',
      { 'content-type': 'application/octet-stream' },
      {},
      'repeat exists',
    ],
    ['R-060: the type in another case', text, { 'content-type': 'TEXT/Plain' }, 'repeat exists'],
    ['R-061: the type with a parameter', text, { 'content-type': 'text/plain; charset=x' }, 'repeat exists'],
    ['R-066: the same TTL', ttl(60), ttl(60), 'repeat exists'],
    ['R-066: another TTL', ttl(60), ttl(61), 'reject already-exists'],
    ['R-066: no TTL', ttl(60), {}, 'reject already-exists'],
    ['R-066: a TTL where there is none', {}, ttl(60), 'reject already-exists'],
    ['R-067: the same instant', at('2030-01-01T00:00:00Z'), at('2030-01-01T00:00:00Z'), 'repeat exists'],
    [
      'R-067: the instant in another zone',
      at('2030-01-01T00:00:00Z'),
      at('2030-01-01T02:00:00+02:00'),
      'repeat exists',
    ],
    [
      'R-067: another instant',
      at('2030-01-01T00:00:00Z'),
      at('2030-01-01T00:00:01Z'),
      'reject already-exists',
    ],
    ['R-067: no instant', at('2030-01-01T00:00:00Z'), {}, 'reject already-exists'],
    ['R-067: a TTL for an instant', at('2030-01-01T00:00:00Z'), ttl(60), 'reject already-exists'],
    ['R-065: open, and open', {}, {}, 'repeat exists'],
    ['R-065: closed, and closed', closed, closed, 'repeat exists'],
    ['R-065: open, and closed', {}, closed, 'reject already-exists'],
    ['R-065: closed, and open', closed, {}, 'reject already-exists'],
    ['R-251: a fork, where it is none', {}, forkedFrom('source'), 'reject already-exists'],
  ])('compares the configuration: %s', (_, existing, requested, expected) => {
    expect(summary(decide(put('a', requested), [created('a', existing)]))).toBe(expected)
  })

  it('R-065: looks at whether it is closed now, not at how it was created', () => {
    const state = appended(created('a'), 3, { closes: true })
    expect(summary(decide(put('a'), [state]))).toBe('reject already-exists')
    expect(summary(decide(put('a', closed), [state]))).toBe('repeat exists')
  })

  it('R-058: answers with the type, the tail and the closure of the stream', () => {
    const state = appended(created('a', { 'content-type': 'Text/Plain; a=b' }, 'abc'), 7)
    const outcome = {
      kind: 'exists',
      path: 'a',
      contentType: 'Text/Plain; a=b',
      tail: 10,
      generation: 0,
      closed: false,
    }
    expect(decide(put('a', text), [state])).toEqual({ kind: 'repeat', outcome })
  })

  it.each(['abc', '{ no JSON', ''])('R-064: takes no notice of its body: %j', (body) => {
    expect(summary(decide(put('a', json, body), [created('a', json, '[1]')]))).toBe('repeat exists')
  })

  it('R-285: is refused where a deleted stream is kept for its forks', () => {
    const states = [softDeleted(created('a', text))]
    expect(decide(put('a', text), states)).toEqual({ kind: 'reject', rejection: { kind: 'path-blocked' } })
    expect(summary(decide(put('a', json, '{'), states))).toBe('reject path-blocked')
  })

  it('R-294: is refused where an expired stream is kept for its forks', () => {
    const source = evolve(created('a', ttl(0)), { kind: 'referenced' })
    expect(summary(decide(put('a'), [source]))).toBe('reject path-blocked')
  })
})

describe('a PUT of a fork', () => {
  const source = appended(created('source', { 'content-type': 'Text/Plain; a=b' }, 'abcdef'), 4)

  it('R-245: leaves the source at its tail, and refers to it', () => {
    const decision = decide(put('fork', forkedFrom('source')), [source], pointIn(source, 10))
    expect(decision).toMatchObject({
      kind: 'accept',
      changes: [
        { path: 'fork', events: [{ kind: 'created' }], payload: undefined },
        { path: 'source', events: [{ kind: 'referenced' }], payload: undefined },
      ],
      outcome: {
        kind: 'created',
        path: 'fork',
        contentType: 'Text/Plain; a=b',
        tail: 10,
        generation: 0,
        closed: false,
      },
    })
    expect(after(decision, 'source', source).refCount).toBe(1)
    expect(after(decision, 'fork').fork).toEqual({
      sourcePath: 'source',
      sourceId: source.id,
      forkPosition: 10,
      subOffset: 0,
      ownFrom: 10,
      inherited: [{ id: source.id, from: 0, to: 10 }],
      ancestors: ['source'],
      cuts: [],
      expiryInherited: true,
    })
  })

  it('R-245: without an offset leaves at the tail of this moment, which may have moved since the source was read', () => {
    const later = appended(source, 5)
    const fork = after(decide(put('fork', forkedFrom('source')), [later], pointIn(source, 10)), 'fork')
    expect(fork).toMatchObject({ tail: 15, fork: { forkPosition: 15, ownFrom: 15 } })
  })

  it('R-246, R-274: inherits the bytes below its offset, and none that the source gets later', () => {
    const fork = after(decide(put('fork', forkedFrom('source', 6)), [source], pointIn(source, 6)), 'fork')
    expect(ownRanges(fork, 0, fork.tail)).toEqual([{ id: source.id, from: 0, to: 6 }])
    expect(lineage(appended(fork, 2))).toEqual([
      { id: source.id, from: 0, to: 6 },
      { id: fork.id, from: 6, to: 8 },
    ])
  })

  it('R-030, R-247: inherits nothing at the zero offset, or from an empty source', () => {
    const empty = created('source', text)
    const states = [
      after(decide(put('fork', forkedFrom('source', 0)), [source], pointIn(source, 0)), 'fork'),
      after(decide(put('fork', forkedFrom('source')), [empty], pointIn(empty, 0)), 'fork'),
    ]
    expect(states.map(({ tail, fork }) => ({ tail, inherited: fork?.inherited }))).toEqual([
      { tail: 0, inherited: [] },
      { tail: 0, inherited: [] },
    ])
  })

  it('R-258, R-268: begins after what its sub-offset spans, with its body as first data of its own', () => {
    const command = put('fork', { ...forkedFrom('source', 0, 4), ...text }, 'own')
    const decision = decide(command, [source], pointIn(source, 0, 4))
    expect(outcomeOf(decision)).toMatchObject({ tail: 7 })
    expect(lineage(after(decision, 'fork'))).toEqual([
      { id: source.id, from: 0, to: 4 },
      { id: command.id, from: 4, to: 7 },
    ])
  })

  it('R-252: starts open where the source is closed, and may be closed where it is open', () => {
    const ended = appended(source, 1, { closes: true })
    const open = after(decide(put('fork', forkedFrom('source')), [ended], pointIn(ended, 11)), 'fork')
    const shut = after(
      decide(put('fork', { ...forkedFrom('source'), ...closed }), [source], pointIn(source, 10)),
      'fork',
    )
    expect([open.closed, shut.closed]).toEqual([false, true])
  })

  it('R-253: has the type of the source verbatim, or its own spelling of it', () => {
    const fork = (headers: Headers): string => {
      return after(
        decide(put('fork', { ...forkedFrom('source'), ...headers }), [source], pointIn(source, 10)),
        'fork',
      ).contentType
    }
    expect(fork({})).toBe('Text/Plain; a=b')
    expect(fork(text)).toBe('text/plain')
  })

  it('R-271: starts without the Stream-Seq and the producers of the source', () => {
    const written = appended(source, 1, { streamSeq: 'b' })
    const fork = after(decide(put('fork', forkedFrom('source')), [written], pointIn(written, 11)), 'fork')
    expect(written).toMatchObject({ streamSeq: 'b', producers: { size: 1 } })
    expect(fork).toMatchObject({ streamSeq: undefined, producers: { size: 0 } })
  })

  it('R-279: of a fork knows all its ancestors', () => {
    const child = appended(
      after(decide(put('b', forkedFrom('source', 6)), [source], pointIn(source, 6)), 'b'),
      4,
    )
    const grandchild = after(decide(put('c', forkedFrom('b', 8)), [child], pointIn(child, 8)), 'c')
    expect(grandchild.fork).toMatchObject({
      ancestors: ['b', 'source'],
      inherited: [
        { id: source.id, from: 0, to: 6 },
        { id: child.id, from: 6, to: 8 },
      ],
    })
  })

  it('is limited in how long a chain of forks gets', () => {
    let last = source
    const states = Array.from({ length: PROTOCOL_LIMITS.maxForkDepth }, (_, depth) => {
      last = after(decide(put(`f${depth}`, forkedFrom(last.path)), [last], pointIn(last, 10)), `f${depth}`)
      return last
    })
    expect(states.at(-1)?.fork?.ancestors).toHaveLength(PROTOCOL_LIMITS.maxForkDepth)
    expect(summary(decide(put('one-more', forkedFrom(last.path)), [last], pointIn(last, 10)))).toBe(
      'reject bad-request',
    )
  })

  it('is judged again when the source was not looked at, or is another one by now', () => {
    const other = created('source', text)
    expect(decide(put('fork', forkedFrom('source')), [source])).toEqual({ kind: 'stale' })
    expect(decide(put('fork', forkedFrom('source')), [source], pointIn(other, 0))).toEqual({ kind: 'stale' })
    expect(decide(put('fork', forkedFrom('source', 99)), [source], refusedIn(other))).toEqual({
      kind: 'stale',
    })
  })
})

describe('the expiry of a fork', () => {
  const never = { kind: 'never' }
  const ttl = (ttlSeconds: number): object => ({ kind: 'ttl', ttlSeconds })
  const at = (text: string): object => ({ kind: 'at', instantMs: Date.parse(text), text })
  const [soon, late] = ['2026-01-01T00:01:00Z', '2027-01-01T00:00:00Z']

  it.each<[string, Headers, Headers, object]>([
    ['R-290: none from none', {}, {}, never],
    ['R-291: a TTL from none', {}, { 'stream-ttl': '60' }, ttl(60)],
    ['R-291: an instant from none', {}, { 'stream-expires-at': soon }, at(soon)],
    ['R-290: the TTL of the source', { 'stream-ttl': '60' }, {}, ttl(60)],
    ['R-291: a longer TTL', { 'stream-ttl': '60' }, { 'stream-ttl': '600' }, ttl(600)],
    ['R-291: a shorter TTL', { 'stream-ttl': '60' }, { 'stream-ttl': '6' }, ttl(6)],
    ['R-291: an instant from a TTL', { 'stream-ttl': '60' }, { 'stream-expires-at': late }, at(late)],
    ['R-290: the instant of the source', { 'stream-expires-at': soon }, {}, at(soon)],
    ['R-291: a TTL from an instant', { 'stream-expires-at': soon }, { 'stream-ttl': '600' }, ttl(600)],
    ['R-291: a later instant', { 'stream-expires-at': soon }, { 'stream-expires-at': late }, at(late)],
  ])('is %s', (_, ofSource, requested, expiry) => {
    const source = created('source', ofSource)
    const command = put('fork', { ...forkedFrom('source'), ...requested })
    const fork = after(decide(command, [source], pointIn(source, 0)), 'fork')
    expect(fork.expiry).toEqual(expiry)
    expect(fork.lastAccessMs).toBe(NOW)
  })
})

describe('a refused fork', () => {
  const source = created('source', json, '[1,2]')
  const gone = softDeleted(source)
  const expired = created('source', { ...json, 'stream-ttl': '0' })
  const bad = put('fork', { ...forkedFrom('source', 99, 1), ...text }, '{')
  const badBody = put('fork', { ...forkedFrom('source', 99, 1), ...json }, '{')

  // Each row has every fault from one on, in the order of the protocol.
  it.each<[string, CreateCommand, readonly (StreamState | undefined)[], ForkPoint, string]>([
    [
      'R-285: the path is held',
      bad,
      [softDeleted(created('fork'))],
      refusedIn(source),
      'reject path-blocked',
    ],
    ['R-251: the path is in use', bad, [created('fork', json)], refusedIn(source), 'reject already-exists'],
    ['R-248: the source is missing', bad, [], refusedIn(source), 'reject fork-source-not-found'],
    ['R-248: the source has expired', bad, [expired], refusedIn(expired), 'reject fork-source-not-found'],
    ['R-286: the source is deleted', bad, [gone], refusedIn(gone), 'reject fork-from-tombstone'],
    ['R-254: the type is another', bad, [source], refusedIn(source), 'reject content-type-mismatch'],
    ['R-261: the fork point is refused', badBody, [source], refusedIn(source), 'reject bad-request'],
    ['R-220: the body is not JSON', badBody, [source], pointIn(source, 0), 'reject invalid-json'],
  ])(
    'R-255: leaves no reference, and is refused for its first fault: %s',
    (_, command, states, point, expected) => {
      const decision = decide(command, states, point)
      expect(summary(decision)).toBe(expected)
      expect(Object.keys(decision)).toEqual(['kind', 'rejection'])
    },
  )

  it('R-254: names the type of the source as it was given, and the one that came', () => {
    const forking = put('fork', { ...forkedFrom('source'), 'content-type': 'Text/Plain; a=b' })
    const rejection = {
      kind: 'content-type-mismatch',
      expected: 'application/json',
      received: 'Text/Plain; a=b',
    }
    expect(decide(forking, [source], pointIn(source, 0))).toEqual({ kind: 'reject', rejection })
  })

  it('R-031, R-249: passes on what was found wrong with the fork point', () => {
    expect(rejectionOf(decide(put('fork', forkedFrom('source', 99)), [source], refusedIn(source)))).toEqual({
      kind: 'bad-request',
      detail: 'Stream-Fork-Offset is past the end of the source.',
    })
  })
})

describe('a PUT where a fork is', () => {
  const source = appended(created('source', { ...text, 'stream-ttl': '60' }, 'abcdef'), 4)
  const atTail = after(decide(put('fork', forkedFrom('source')), [source], pointIn(source, 10)), 'fork')
  const inside = after(
    decide(put('fork', forkedFrom('source', 2, 3)), [source], pointIn(source, 2, 5)),
    'fork',
  )

  it.each([
    ['R-256: the same', forkedFrom('source', 10), 'repeat exists'],
    ['R-257: without an offset', forkedFrom('source'), 'repeat exists'],
    ['R-260: with a sub-offset of 0', forkedFrom('source', 10, 0), 'repeat exists'],
    ['R-253: with its type', { ...forkedFrom('source'), ...text }, 'repeat exists'],
    ['R-251: with another type', { ...forkedFrom('source'), ...json }, 'reject already-exists'],
    ['R-251: with another offset', forkedFrom('source', 9), 'reject already-exists'],
    ['R-267: with a sub-offset', forkedFrom('source', 10, 1), 'reject already-exists'],
    ['R-251: of another source', forkedFrom('other'), 'reject already-exists'],
    ['R-251: as a plain stream', { ...text, 'stream-ttl': '60' }, 'reject already-exists'],
    ['R-290: with the expiry it inherited', { ...forkedFrom('source'), 'stream-ttl': '60' }, 'repeat exists'],
    ['R-066: with another expiry', { ...forkedFrom('source'), 'stream-ttl': '61' }, 'reject already-exists'],
    ['R-065: closed', { ...forkedFrom('source'), ...closed }, 'reject already-exists'],
  ])('compares the configuration: %s', (_, headers: Headers, expected) => {
    expect(summary(decide(put('fork', headers), [source, atTail], pointIn(source, 10)))).toBe(expected)
  })

  it('R-267: compares the sub-offset', () => {
    const again = (subOffset: number | undefined): string => {
      return summary(
        decide(put('fork', forkedFrom('source', 2, subOffset)), [source, inside], pointIn(source, 2, 5)),
      )
    }
    expect([3, 2, 0, undefined].map(again)).toEqual([
      'repeat exists',
      'reject already-exists',
      'reject already-exists',
      'reject already-exists',
    ])
  })

  it('R-257: finds it although the source went on, was deleted, or is no more', () => {
    const command = put('fork', forkedFrom('source'))
    const sources = [appended(source, 5), softDeleted(source), undefined]
    expect(sources.map((now) => summary(decide(command, [now, atTail])))).toEqual(
      sources.map(() => 'repeat exists'),
    )
  })
})

describe('a PUT where an expired stream has not been removed yet', () => {
  const source = created('source', text)
  const headers = { ...forkedFrom('source'), 'stream-expires-at': '2026-01-01T00:00:00Z' }
  const fork = after(decide(put('fork', headers), [source], pointIn(source, 0)), 'fork')

  it('R-293: is judged again after its removal, so that the reference on its source is released', () => {
    expect(livenessOf(fork, NOW).kind).toBe('absent')
    expect(decide(put('fork', text), [source, fork])).toEqual({ kind: 'stale' })
  })
})
