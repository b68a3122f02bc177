import { describe, expect, it } from 'vitest'
import type { AppendCommand } from './command.ts'
import { decideAppend } from './decide-append.ts'
import type { Decision, Rules } from './decision.ts'
import type { Expiry } from './expiry.ts'
import { PROTOCOL_LIMITS } from './limits.ts'
import { formatOffset } from './offset.ts'
import type { Outcome } from './outcome.ts'
import { parseAppend } from './parse-append.ts'
import type { ProducerStamp } from './producer-table.ts'
import type { Rejection } from './rejection.ts'
import { parseStreamPath, type StreamPath } from './stream-path.ts'
import { evolve, PLAIN_CONFIG, type StreamEvent, type StreamState, streamId } from './stream-state.ts'

const NOW = Date.UTC(2026, 0, 1)
const WEEK_MS = 7 * 24 * 3600 * 1000
const FOREVER: Rules = { producerIdleMs: undefined, generation: 0 }
const encoder = new TextEncoder()

type Headers = Readonly<Record<string, string>>
const json: Headers = { 'content-type': 'application/json' }
const text: Headers = { 'content-type': 'text/plain' }
const closing: Headers = { 'stream-closed': 'true' }

function stamped(id: string, epoch: number, seq: number): Headers {
  return { 'producer-id': id, 'producer-epoch': String(epoch), 'producer-seq': String(seq) }
}

function path(): StreamPath {
  const parsed = parseStreamPath('a')
  if (parsed.kind !== 'stream') throw new Error('no stream path')
  return parsed.path
}

function post(headers: Headers, body = ''): AppendCommand {
  const parsed = parseAppend(path(), (name) => headers[name], encoder.encode(body))
  if ('rejection' in parsed) throw new Error(`the request is refused: ${parsed.rejection.kind}`)
  return parsed.command
}

function stream(type: Headers = json, expiry: Expiry = { kind: 'never' }): StreamState {
  const { 'content-type': mediaType = '' } = type
  const config = {
    ...PLAIN_CONFIG,
    contentType: mediaType,
    mediaType,
    expiry,
    id: streamId('1'),
    path: path(),
  }
  return fold(undefined, { kind: 'created', config, atMs: NOW })
}

function fold(state: StreamState | undefined, ...events: readonly StreamEvent[]): StreamState {
  const folded = events.reduce(evolve, state)
  if (folded === undefined) throw new Error('no stream')
  return folded
}

function decide(
  state: StreamState | undefined,
  command: AppendCommand,
  atMs = NOW,
  rules = FOREVER,
): Decision {
  return decideAppend(state, command, atMs, rules)
}

/** The stream once these requests were accepted. */
function after(state: StreamState, ...commands: readonly AppendCommand[]): StreamState {
  return commands.reduce((current, command) => {
    const decision = decide(current, command)
    if (decision.kind !== 'accept') throw new Error(`the request is not accepted: ${summary(decision)}`)
    return fold(current, ...decision.changes.flatMap(({ events }) => events))
  }, state)
}

function rejectionOf(decision: Decision): Rejection | undefined {
  return decision.kind === 'reject' ? decision.rejection : undefined
}

function outcomeOf(decision: Decision): Outcome | undefined {
  return decision.kind === 'accept' || decision.kind === 'repeat' ? decision.outcome : undefined
}

/** `accept appended`, `repeat duplicate`, `reject gone` and so on. */
function summary(decision: Decision): string {
  return `${decision.kind} ${outcomeOf(decision)?.kind ?? rejectionOf(decision)?.kind ?? ''}`
}

describe('an append to an open stream', () => {
  it('R-072: is accepted with one event and its bytes', () => {
    const decision = decide(after(stream(text), post(text, 'ab')), post(text, 'cde'), NOW + 5)
    expect(decision).toEqual({
      kind: 'accept',
      changes: [
        {
          path: 'a',
          events: [
            {
              kind: 'appended',
              unit: { sizeBytes: 3, messages: 1 },
              closes: false,
              producer: undefined,
              streamSeq: undefined,
              forgetBeforeMs: undefined,
              atMs: NOW + 5,
            },
          ],
          payload: encoder.encode('cde'),
        },
      ],
      outcome: { kind: 'appended', tail: 5, generation: 0, closed: false, producer: undefined },
    })
  })

  it('R-026: moves the tail forward', () => {
    const tails = ['1', '[2,3]', '{"a":4}'].map((_, i, all) => {
      return after(stream(), ...all.slice(0, i + 1).map((body) => post(json, body))).tail
    })
    expect(tails).toEqual([3, 9, 18])
  })

  it('R-115: may close it: bytes and closure are one event', () => {
    const decision = decide(stream(text), post({ ...text, ...closing }, 'abc'))
    expect(decision).toMatchObject({
      changes: [{ events: [{ kind: 'appended', unit: { sizeBytes: 3 }, closes: true }] }],
      outcome: { kind: 'appended', tail: 3, generation: 0, closed: true },
    })
  })

  it('R-114, R-117: may be nothing but a close, whatever the Content-Type', () => {
    const decision = decide(after(stream(), post(json, '1')), post({ ...text, ...closing }))
    expect(decision).toMatchObject({
      changes: [{ events: [{ kind: 'appended', unit: undefined, closes: true }], payload: undefined }],
      outcome: { kind: 'closed', tail: 3, generation: 0, closed: true },
    })
  })

  it('R-009: does not close it with Stream-Closed: false', () => {
    const state = after(stream(text), post({ ...text, 'stream-closed': 'false' }, 'abc'))
    expect(state.closed).toBe(false)
  })

  it('R-061: is compared by type and subtype only', () => {
    expect(summary(decide(stream(text), post({ 'content-type': 'TEXT/Plain; charset=x' }, 'a')))).toBe(
      'accept appended',
    )
  })
})

/** A request and the stream it meets, with one thing after the other made wrong. */
interface Scene {
  readonly state: StreamState | undefined
  readonly command: AppendCommand
}

interface Fault {
  readonly step: number
  readonly name: string
  readonly refusal: Rejection['kind']
  spoil(scene: Scene): Scene
}

function onStream(event: StreamEvent): (scene: Scene) => Scene {
  return ({ state, command }) => ({ state: state && evolve(state, event), command })
}

function inRequest(given: Partial<AppendCommand>): (scene: Scene) => Scene {
  return ({ state, command }) => ({ state, command: { ...command, ...given } })
}

function closedBy(producer: ProducerStamp | undefined): StreamEvent {
  const rest = { unit: undefined, streamSeq: undefined, forgetBeforeMs: undefined, atMs: NOW }
  return { kind: 'appended', closes: true, producer, ...rest }
}

function producer(epoch: number, seq: number): Partial<AppendCommand> {
  return { producer: { id: 'p', epoch, seq } }
}

const invalid: AppendCommand['payload'] = { kind: 'invalid-json', detail: 'Expected a JSON value' }

const faults: readonly Fault[] = [
  {
    step: 1,
    name: 'a missing stream',
    refusal: 'not-found',
    spoil: ({ command }) => ({ state: undefined, command }),
  },
  { step: 2, name: 'a soft-deleted stream', refusal: 'gone', spoil: onStream({ kind: 'soft-deleted' }) },
  { step: 10, name: 'a closed stream', refusal: 'stream-closed', spoil: onStream(closedBy(undefined)) },
  {
    step: 11,
    name: 'another media type',
    refusal: 'content-type-mismatch',
    spoil: inRequest({ mediaType: 'text/plain' }),
  },
  { step: 12, name: 'invalid JSON', refusal: 'invalid-json', spoil: inRequest({ payload: invalid }) },
  {
    step: 12,
    name: 'an empty array',
    refusal: 'empty-array',
    spoil: inRequest({ payload: { kind: 'empty-array' } }),
  },
  { step: 13, name: 'a stale epoch', refusal: 'producer-fenced', spoil: inRequest(producer(2, 9)) },
  {
    step: 13,
    name: 'a new epoch that does not start at 0',
    refusal: 'bad-request',
    spoil: inRequest(producer(4, 1)),
  },
  { step: 13, name: 'a gap', refusal: 'producer-gap', spoil: inRequest(producer(3, 8)) },
  {
    step: 14,
    name: 'an old Stream-Seq',
    refusal: 'stream-seq-conflict',
    spoil: inRequest({ streamSeq: 'b' }),
  },
]

const inOrder: Scene = {
  state: after(
    stream(),
    ...[0, 1, 2, 3, 4, 5].map((seq) =>
      post({ ...json, ...stamped('p', 3, seq), 'stream-seq': `b${seq}` }, '1'),
    ),
  ),
  command: post({ ...json, ...stamped('p', 3, 6), 'stream-seq': 'c' }, '[1,2]'),
}

const pairs = faults.flatMap((first) => {
  return faults.filter(({ step }) => step > first.step).map((second) => ({ first, second }))
})

describe('the order of the checks', () => {
  it('starts from a request that is accepted', () => {
    expect(summary(decide(inOrder.state, inOrder.command))).toBe('accept appended')
  })

  it.each(faults)('refuses $name', ({ refusal, spoil }) => {
    const { state, command } = spoil(inOrder)
    expect(decide(state, command)).toEqual({
      kind: 'reject',
      rejection: expect.objectContaining({ kind: refusal }),
    })
  })

  it('R-078: names the type of the stream as it was given, and the one that came', () => {
    const state = stream({ 'content-type': 'text/plain' })
    const rejection = { kind: 'content-type-mismatch', expected: 'text/plain', received: 'a/b' }
    expect(rejectionOf(decide(state, post({ 'content-type': 'A/B; c=d' }, 'x')))).toEqual(rejection)
  })

  it.each(pairs)('refuses $first.name before $second.name', ({ first, second }) => {
    const { state, command } = first.spoil(second.spoil(inOrder))
    expect(rejectionOf(decide(state, command))?.kind).toBe(first.refusal)
  })

  it.each(faults.filter(({ step }) => step > 2))(
    'R-234: refuses an expired stream before $name',
    ({ spoil }) => {
      const expired = stream(json, { kind: 'ttl', ttlSeconds: 0 })
      const { state, command } = spoil({ state: expired, command: inOrder.command })
      expect(rejectionOf(decide(state, command))).toEqual({ kind: 'not-found' })
    },
  )

  it('R-080: refuses a closed stream before another media type, and that before an old Stream-Seq', () => {
    const command = { ...inOrder.command, mediaType: 'text/plain', streamSeq: 'a' }
    const closed = after(stream(), post({ ...json, ...closing, 'stream-seq': 'b' }, '1'))
    const open = after(stream(), post({ ...json, 'stream-seq': 'b' }, '1'))
    expect(summary(decide(closed, command))).toBe('reject stream-closed')
    expect(summary(decide(open, command))).toBe('reject content-type-mismatch')
    expect(summary(decide(open, { ...command, mediaType: 'application/json', producer: undefined }))).toBe(
      'reject stream-seq-conflict',
    )
  })

  it('R-107: finds a duplicate before it looks at Stream-Seq', () => {
    const again = post({ ...json, ...stamped('p', 3, 5), 'stream-seq': 'b5' }, '1')
    expect(summary(decide(inOrder.state, again))).toBe('repeat duplicate')
  })

  it.each(faults.filter(({ step }) => step === 11 || step === 12))(
    'R-110: refuses $name before it finds a duplicate',
    ({ refusal, spoil }) => {
      const again = post({ ...json, ...stamped('p', 3, 5) }, '1')
      const { state, command } = spoil({ state: inOrder.state, command: again })
      expect(rejectionOf(decide(state, command))?.kind).toBe(refusal)
    },
  )

  it.each(faults.filter(({ step }) => step > 10 && step !== 13))(
    'R-087: changes nothing when it refuses $name: the same producer number is accepted afterwards',
    ({ spoil }) => {
      const known = [...(inOrder.state?.producers.entries() ?? [])]
      const { state, command } = spoil(inOrder)
      expect(Object.keys(decide(state, command))).toEqual(['kind', 'rejection'])
      expect([...(state?.producers.entries() ?? [])]).toEqual(known)
      expect(summary(decide(state, inOrder.command))).toBe('accept appended')
    },
  )
})

describe('Stream-Seq', () => {
  const seq = (streamSeq: string): AppendCommand => post({ ...text, 'stream-seq': streamSeq }, 'x')

  it.each([
    ['R-082', 'b', 'b'],
    ['R-081', 'b', 'a'],
    ['R-083', '2', '10'],
    ['R-083', 'a', 'B'],
    ['R-083', 'ab', 'a'],
    ['R-083', '\u00e9', 'z'],
    ['R-083', '10', '09'],
  ])('%s: refuses after %s the value %s', (_, last, next) => {
    expect(rejectionOf(decide(after(stream(text), seq(last)), seq(next)))).toEqual({
      kind: 'stream-seq-conflict',
      last,
    })
  })

  it.each([
    ['09', '10'],
    ['B', 'a'],
    ['a', 'aa'],
    ['10', '2'],
    ['z', '\u00e9'],
    ['\u007f', '\u0080'],
    ['!', '~'],
  ])('R-083: accepts after %s the value %s, which is bytewise greater', (last, next) => {
    expect(after(stream(text), seq(last), seq(next)).streamSeq).toBe(next)
  })

  it('R-084: accepts one of two requests with the same value', () => {
    const first = decide(stream(text), seq('a'))
    expect(summary(first)).toBe('accept appended')
    expect(summary(decide(after(stream(text), seq('a')), seq('a')))).toBe('reject stream-seq-conflict')
  })

  it('stays as it is when none is sent', () => {
    expect(after(stream(text), seq('b'), post(text, 'x')).streamSeq).toBe('b')
    expect(summary(decide(after(stream(text), seq('b'), post(text, 'x')), seq('b')))).toBe(
      'reject stream-seq-conflict',
    )
  })

  it('is checked and kept with a close without data', () => {
    const close = (streamSeq: string): AppendCommand => post({ ...closing, 'stream-seq': streamSeq })
    expect(summary(decide(after(stream(text), seq('b')), close('b')))).toBe('reject stream-seq-conflict')
    expect(after(stream(text), seq('b'), close('c'))).toMatchObject({ closed: true, streamSeq: 'c' })
  })
})

describe('the closing of a stream', () => {
  const plain = after(stream(text), post({ ...text, ...stamped('p', 0, 0) }, 'abc'))
  const closedPlainly = after(plain, post(closing))
  const closedByProducer = after(plain, post({ ...text, ...closing, ...stamped('p', 0, 1) }, 'end'))

  it.each([
    ['R-116: a close', post(closing), 'accept closed', 'repeat closed', 'repeat closed'],
    [
      'R-124: a close of a producer',
      post({ ...closing, ...stamped('p', 0, 1) }),
      'accept closed',
      'reject stream-closed',
      'repeat duplicate',
    ],
    [
      'R-120: an append that closes',
      post({ ...text, ...closing }, 'x'),
      'accept appended',
      'reject stream-closed',
      'reject stream-closed',
    ],
    [
      'R-124: one of a producer',
      post({ ...text, ...closing, ...stamped('p', 0, 1) }, 'x'),
      'accept appended',
      'reject stream-closed',
      'repeat duplicate',
    ],
    ['R-118: an append', post(text, 'x'), 'accept appended', 'reject stream-closed', 'reject stream-closed'],
    [
      'R-124: an append of the closing number',
      post({ ...text, ...stamped('p', 0, 1) }, 'x'),
      'accept appended',
      'reject stream-closed',
      'repeat duplicate',
    ],
    [
      'R-127: another number of that producer',
      post({ ...text, ...stamped('p', 0, 2) }, 'x'),
      'reject producer-gap',
      'reject stream-closed',
      'reject stream-closed',
    ],
    [
      'R-127: an older number of that producer',
      post({ ...text, ...stamped('p', 0, 0) }, 'x'),
      'repeat duplicate',
      'reject stream-closed',
      'reject stream-closed',
    ],
    [
      'R-126: another producer',
      post({ ...text, ...closing, ...stamped('q', 0, 1) }, 'x'),
      'reject producer-gap',
      'reject stream-closed',
      'reject stream-closed',
    ],
    [
      'R-127: a higher epoch',
      post({ ...closing, ...stamped('p', 1, 0) }),
      'accept closed',
      'reject stream-closed',
      'reject stream-closed',
    ],
  ])('%s', (_, command, open, closed, closedByP) => {
    expect([plain, closedPlainly, closedByProducer].map((state) => summary(decide(state, command)))).toEqual([
      open,
      closed,
      closedByP,
    ])
  })

  it('R-119: answers an append with the final tail', () => {
    expect(rejectionOf(decide(closedByProducer, post(text, 'x')))).toEqual({
      kind: 'stream-closed',
      next: formatOffset(6, 0),
    })
  })

  it('R-116: answers a repeated close with the final tail', () => {
    const repeated = { kind: 'closed', tail: 6, generation: 0, closed: true, producer: undefined }
    expect(decide(closedByProducer, post(closing))).toEqual({ kind: 'repeat', outcome: repeated })
  })

  it.each(['end', 'another body', ''])(
    'R-124, R-125: answers the closing request again, with the body %j',
    (body) => {
      const again = post({ ...text, ...closing, ...stamped('p', 0, 1) }, body)
      const outcome = {
        kind: 'duplicate',
        tail: 6,
        generation: 0,
        closed: true,
        producer: { epoch: 0, seq: 1 },
      }
      expect(decide(closedByProducer, again)).toEqual({ kind: 'repeat', outcome })
    },
  )

  it('R-124: answers the closing request again, with another media type or invalid JSON', () => {
    const state = after(stream(), post({ ...json, ...closing, ...stamped('p', 0, 0) }, '1'))
    const again = [
      post({ ...text, ...stamped('p', 0, 0) }, 'x'),
      post({ ...json, ...stamped('p', 0, 0) }, '{'),
    ]
    expect(again.map((command) => summary(decide(state, command)))).toEqual([
      'repeat duplicate',
      'repeat duplicate',
    ])
  })

  it('R-128: refuses a stale epoch because the stream is closed', () => {
    const state = after(stream(text), post({ ...text, ...closing, ...stamped('p', 5, 0) }, 'x'))
    expect(summary(decide(state, post({ ...text, ...stamped('p', 4, 0) }, 'x')))).toBe('reject stream-closed')
  })

  it('R-131: does not come with the duplicate of an old number', () => {
    const again = post({ ...text, ...closing, ...stamped('p', 0, 0) }, 'abc')
    const outcome = {
      kind: 'duplicate',
      tail: 3,
      generation: 0,
      closed: false,
      producer: { epoch: 0, seq: 0 },
    }
    expect(decide(plain, again)).toEqual({ kind: 'repeat', outcome })
    expect(decide(plain, post({ ...closing, ...stamped('p', 0, 0) }))).toEqual({ kind: 'repeat', outcome })
  })
})

describe('a producer', () => {
  const tail = 3
  const state = after(stream(text), post({ ...text, ...stamped('p', 3, 0) }, 'abc'))
  const upTo5 = after(state, ...[1, 2, 3, 4, 5].map((seq) => post({ ...text, ...stamped('p', 3, seq) }, '-')))
  const answer = (epoch: number, seq: number): Outcome => {
    return { kind: 'appended', tail: tail + 6, generation: 0, closed: false, producer: { epoch, seq } }
  }

  it.each([
    ['R-090: that is new starts at 0', stamped('q', 0, 0), answer(0, 0)],
    ['R-090: that is new starts in any epoch', stamped('q', 7, 0), answer(7, 0)],
    ['R-091: goes on with the next number', stamped('p', 3, 6), answer(3, 6)],
    ['R-096: starts a new epoch at 0', stamped('p', 4, 0), answer(4, 0)],
    [
      'R-096: may leave epochs out',
      stamped('p', Number.MAX_SAFE_INTEGER, 0),
      answer(Number.MAX_SAFE_INTEGER, 0),
    ],
    ['R-105: is known by its exact id', stamped('P', 0, 0), answer(0, 0)],
  ])('%s', (_, stamp, outcome) => {
    const decision = decide(upTo5, post({ ...text, ...stamp }, 'x'))
    expect(decision).toMatchObject({ kind: 'accept', outcome, changes: [{ events: [{ producer: {} }] }] })
  })

  it.each<[string, Headers, Rejection]>([
    ['R-100: that is new with 1', stamped('q', 0, 1), { kind: 'producer-gap', expected: 0, received: 1 }],
    ['R-100: that is new with 9', stamped('q', 3, 9), { kind: 'producer-gap', expected: 0, received: 9 }],
    ['R-098: with an old epoch', stamped('p', 2, 6), { kind: 'producer-fenced', epoch: 3 }],
    ['R-098: with an old epoch and 0', stamped('p', 0, 0), { kind: 'producer-fenced', epoch: 3 }],
    [
      'R-099: that leaves a number out',
      stamped('p', 3, 7),
      { kind: 'producer-gap', expected: 6, received: 7 },
    ],
  ])('%s is refused', (_, stamp, rejection) => {
    expect(decide(upTo5, post({ ...text, ...stamp }, 'x'))).toEqual({ kind: 'reject', rejection })
    expect(decide(upTo5, post({ ...closing, ...stamp }))).toEqual({ kind: 'reject', rejection })
  })

  it('R-097: with a new epoch that does not start at 0 is refused as a bad request', () => {
    expect(summary(decide(upTo5, post({ ...text, ...stamped('p', 4, 1) }, 'x')))).toBe('reject bad-request')
  })

  it.each([5, 4, 0])('R-092, R-094: gets the last number as answer to the duplicate %i', (seq) => {
    const outcome = {
      kind: 'duplicate',
      tail: 8,
      generation: 0,
      closed: false,
      producer: { epoch: 3, seq: 5 },
    }
    const again = post({ ...text, ...stamped('p', 3, seq) }, 'another body')
    expect(decide(upTo5, again)).toEqual({ kind: 'repeat', outcome })
  })

  it('R-093, R-105: goes on after duplicates, and after other producers', () => {
    const other = after(upTo5, post({ ...text, ...stamped('q', 0, 0) }, 'y'), post(text, 'z'))
    expect(summary(decide(other, post({ ...text, ...stamped('p', 3, 5) }, '-')))).toBe('repeat duplicate')
    expect(summary(decide(other, post({ ...text, ...stamped('p', 3, 6) }, '-')))).toBe('accept appended')
    expect(summary(decide(other, post({ ...text, ...stamped('q', 0, 1) }, '-')))).toBe('accept appended')
  })

  it('R-123: may close without data', () => {
    const decision = decide(upTo5, post({ ...closing, ...stamped('p', 3, 6) }))
    const outcome = { kind: 'closed', tail: 8, generation: 0, closed: true, producer: { epoch: 3, seq: 6 } }
    expect(decision).toMatchObject({ kind: 'accept', outcome })
  })

  it('R-113: is as new after it was idle for longer than the store keeps it', () => {
    const week: Rules = { producerIdleMs: WEEK_MS, generation: 0 }
    const next = post({ ...text, ...stamped('p', 3, 6) }, 'x')
    const anew = post({ ...text, ...stamped('p', 0, 0) }, 'x')
    expect(summary(decide(upTo5, next, NOW + WEEK_MS, week))).toBe('accept appended')
    expect(summary(decide(upTo5, next, NOW + WEEK_MS + 1, week))).toBe('reject producer-gap')
    expect(summary(decide(upTo5, anew, NOW + WEEK_MS, week))).toBe('reject producer-fenced')
    expect(summary(decide(upTo5, anew, NOW + WEEK_MS + 1, week))).toBe('accept appended')
    expect(summary(decide(upTo5, anew, NOW + 52 * WEEK_MS, FOREVER))).toBe('reject producer-fenced')
  })
})

describe('the producers of one stream', () => {
  const { maxProducers } = PROTOCOL_LIMITS
  const writes = (from: number, to: number, atMs: number): readonly StreamEvent[] => {
    return Array.from({ length: to - from }, (_, i) => ({
      kind: 'appended',
      unit: { sizeBytes: 1, messages: 1 },
      closes: false,
      producer: { id: `p${from + i}`, epoch: 0, seq: 0 },
      streamSeq: undefined,
      forgetBeforeMs: undefined,
      atMs,
    }))
  }
  const full = fold(stream(text), ...writes(0, 1000, NOW), ...writes(1000, maxProducers, NOW + WEEK_MS))
  const first = (id: string): AppendCommand => post({ ...text, ...stamped(id, 0, 0) }, 'x')

  it('are limited: one more is refused, those who are known go on', () => {
    expect(full.producers.size).toBe(maxProducers)
    expect(rejectionOf(decide(full, first('new')))).toEqual({
      kind: 'too-many-producers',
      limit: maxProducers,
    })
    expect(summary(decide(full, post({ ...text, ...stamped('p7', 0, 1) }, 'x')))).toBe('accept appended')
    expect(summary(decide(full, post(text, 'x')))).toBe('accept appended')
  })

  it('R-113: make room for one more when some of them are idle', () => {
    const decision = decide(full, first('new'), NOW + WEEK_MS + 1, { producerIdleMs: WEEK_MS, generation: 0 })
    const events = decision.kind === 'accept' ? decision.changes.flatMap((change) => change.events) : []
    expect(summary(decision)).toBe('accept appended')
    expect(fold(full, ...events).producers.size).toBe(maxProducers - 1000 + 1)
  })
})
