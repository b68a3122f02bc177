import { describe, expect, it } from 'vitest'
import {
  MAX_CONSECUTIVE_CLAIMS,
  nextSeq,
  type ProducerAnswer,
  type ProducerEffect,
  type ProducerEvent,
  type ProducerRules,
  type ProducerState,
  type ProducerStep,
  startProducer,
  stepProducer,
} from './producer-state.ts'

const rules: ProducerRules = {
  epoch: 0,
  autoClaim: false,
  maxInFlight: 3,
  maxRetries: Number.POSITIVE_INFINITY,
}
const claiming: ProducerRules = { ...rules, autoClaim: true }
const refusal = new Error('refused')

const sealed: ProducerEvent = { kind: 'sealed' }
const waited: ProducerEvent = { kind: 'waited' }
const restarted: ProducerEvent = { kind: 'restarted' }
const resumed: ProducerEvent = { kind: 'resumed' }
const aborted: ProducerEvent = { kind: 'aborted', error: refusal }

const answers = {
  stored: { kind: 'stored' },
  duplicate: { kind: 'duplicate', highestSeq: undefined },
  fenced: { kind: 'fenced', epoch: 7 },
  early: { kind: 'gap', expectedSeq: 0, receivedSeq: 1 },
  gap: { kind: 'gap', expectedSeq: 9, receivedSeq: 1 },
  refused: { kind: 'refused', error: refusal },
  unavailable: { kind: 'unavailable', error: refusal, mayBeStored: true, retryAfterMs: 0 },
  turnedAway: { kind: 'unavailable', error: refusal, mayBeStored: false, retryAfterMs: 0 },
} as const satisfies Record<string, ProducerAnswer>

function answered(ordinal: number, name: keyof typeof answers): ProducerEvent {
  return { kind: 'answered', ordinal, answer: answers[name] }
}

function reach(start: ProducerState, ...events: readonly ProducerEvent[]): ProducerState {
  return events.reduce((state, event) => stepProducer(state, event).state, start)
}

/** The outcome of a step in one line: the phase, what is settled of what is sealed, what is sent, and the effects. */
function written({ state, effects }: ProducerStep): string {
  const sent = state.sent.map(({ status, mayBeStored }) => `${status}${mayBeStored ? '?' : ''}`).join(' ')
  const marks = `${state.isBackingOff ? ' backing-off' : ''}${state.isProbing ? ' probing' : ''}`
  const place = `${state.phase.kind} e${state.epoch} ${state.settled}/${state.sealed} [${sent}]${marks}`
  return [place, ...effects.map(writtenEffect)].join(' | ')
}

function writtenEffect(effect: ProducerEffect): string {
  switch (effect.kind) {
    case 'send':
      return `send #${effect.ordinal} as ${effect.epoch}/${effect.seq}`
    case 'acknowledged':
      return `stored ${effect.from}..${effect.to}`
    case 'undelivered':
      return `lost ${effect.from}..${effect.to} (${effect.mayBeStored}?) ${effect.failure.kind}`
    case 'back-off':
      return `wait ${effect.failures}`
    case 'duplicate':
      return `duplicate #${effect.ordinal}${effect.isSuspicious ? ' suspicious' : ''}`
  }
}

const fresh = startProducer(rules)
const three = reach(fresh, sealed, sealed, sealed)
/** Every shape of state that the table needs, each with three batches sealed where it can have them. */
const states: Readonly<Record<string, ProducerState>> = {
  idle: fresh,
  sending: three,
  backingOff: reach(three, answered(0, 'unavailable')),
  behindBarrier: reach(startProducer(claiming), sealed, sealed, sealed),
  claiming: reach(
    startProducer(claiming),
    sealed,
    answered(0, 'stored'),
    sealed,
    sealed,
    answered(1, 'fenced'),
  ),
  failing: reach(three, answered(1, 'refused')),
  failed: reach(fresh, sealed, answered(0, 'refused')),
}
const events: Readonly<Record<string, ProducerEvent>> = { sealed, waited, restarted, resumed, aborted }

function eventFor(state: ProducerState, name: string): ProducerEvent {
  const ordinal = state.settled + (state.sent.length > 1 ? 1 : 0)
  return events[name] ?? answered(ordinal, name as keyof typeof answers)
}

function outcome(state: ProducerState, event: ProducerEvent): string {
  try {
    return written(stepProducer(state, event))
  } catch (error) {
    return `throws ${error instanceof Error ? error.message : error}`
  }
}

/** State, event, and what comes of it; answers are to the second batch sent where there are several. */
const table: readonly (readonly [string, string, string])[] = [
  ['idle', 'sealed', 'open e0 0/1 [sending] | send #0 as 0/0'],
  ['idle', 'waited', 'open e0 0/0 []'],
  ['idle', 'restarted', 'open e1 0/0 []'],
  ['idle', 'resumed', 'throws only what has failed can be resumed'],
  ['idle', 'aborted', 'failed e0 0/0 []'],
  ['idle', 'stored', 'throws an answer without a request'],
  ['idle', 'duplicate', 'throws an answer without a request'],
  ['idle', 'fenced', 'throws an answer without a request'],
  ['idle', 'early', 'throws an answer without a request'],
  ['idle', 'gap', 'throws an answer without a request'],
  ['idle', 'refused', 'throws an answer without a request'],
  ['idle', 'unavailable', 'throws an answer without a request'],
  ['idle', 'turnedAway', 'throws an answer without a request'],
  ['sending', 'sealed', 'open e0 0/4 [sending sending sending]'],
  ['sending', 'waited', 'open e0 0/3 [sending sending sending]'],
  ['sending', 'restarted', 'throws batches are not settled yet'],
  ['sending', 'resumed', 'throws batches are not settled yet'],
  ['sending', 'aborted', 'failed e0 3/3 [] | lost 0..3 (3?) refused'],
  ['sending', 'stored', 'open e0 2/3 [sending] | stored 0..2'],
  ['sending', 'duplicate', 'open e0 2/3 [sending] | stored 0..2 | duplicate #1'],
  ['sending', 'fenced', 'failing e0 0/3 [sending idle sending]'],
  ['sending', 'early', 'open e0 0/3 [sending held sending]'],
  ['sending', 'gap', 'failing e0 0/3 [sending idle sending]'],
  ['sending', 'refused', 'failing e0 0/3 [sending idle sending]'],
  ['sending', 'unavailable', 'open e0 0/3 [sending idle? sending] backing-off probing | wait 1'],
  ['sending', 'turnedAway', 'open e0 0/3 [sending idle sending] backing-off probing | wait 1'],
  ['backingOff', 'sealed', 'open e0 0/4 [idle? sending sending] backing-off probing'],
  ['backingOff', 'waited', 'open e0 0/3 [sending? sending sending] probing | send #0 as 0/0'],
  ['backingOff', 'restarted', 'throws batches are not settled yet'],
  ['backingOff', 'resumed', 'throws batches are not settled yet'],
  ['backingOff', 'aborted', 'failed e0 3/3 [] backing-off probing | lost 0..3 (3?) refused'],
  ['backingOff', 'stored', 'open e0 2/3 [sending] backing-off | stored 0..2'],
  ['backingOff', 'duplicate', 'open e0 2/3 [sending] backing-off | stored 0..2 | duplicate #1'],
  ['backingOff', 'fenced', 'failing e0 0/3 [idle? idle sending] backing-off probing'],
  ['backingOff', 'early', 'open e0 0/3 [idle? held sending] backing-off probing'],
  ['backingOff', 'gap', 'failing e0 0/3 [idle? idle sending] backing-off probing'],
  ['backingOff', 'refused', 'failing e0 0/3 [idle? idle sending] backing-off probing'],
  ['backingOff', 'unavailable', 'open e0 0/3 [idle? idle? sending] backing-off probing'],
  ['backingOff', 'turnedAway', 'open e0 0/3 [idle? idle sending] backing-off probing'],
  ['behindBarrier', 'sealed', 'open e0 0/4 [sending]'],
  ['behindBarrier', 'waited', 'open e0 0/3 [sending]'],
  ['behindBarrier', 'restarted', 'throws batches are not settled yet'],
  ['behindBarrier', 'resumed', 'throws batches are not settled yet'],
  ['behindBarrier', 'aborted', 'failed e0 3/3 [] | lost 0..3 (1?) refused'],
  [
    'behindBarrier',
    'stored',
    'open e0 1/3 [sending sending] | stored 0..1 | send #1 as 0/1 | send #2 as 0/2',
  ],
  ['behindBarrier', 'duplicate', 'open e1 0/3 [sending] | send #0 as 1/0'],
  ['behindBarrier', 'fenced', 'open e8 0/3 [sending] | send #0 as 8/0'],
  ['behindBarrier', 'early', 'failed e0 3/3 [] | lost 0..3 (0?) sequence-gap'],
  ['behindBarrier', 'gap', 'failed e0 3/3 [] | lost 0..3 (0?) sequence-gap'],
  ['behindBarrier', 'refused', 'failed e0 3/3 [] | lost 0..3 (0?) refused'],
  ['behindBarrier', 'unavailable', 'open e0 0/3 [idle?] backing-off probing | wait 1'],
  ['behindBarrier', 'turnedAway', 'open e0 0/3 [idle] backing-off probing | wait 1'],
  ['claiming', 'sealed', 'claiming e0 1/4 [idle sending]'],
  ['claiming', 'waited', 'claiming e0 1/3 [idle sending]'],
  ['claiming', 'restarted', 'throws batches are not settled yet'],
  ['claiming', 'resumed', 'throws batches are not settled yet'],
  ['claiming', 'aborted', 'failed e0 3/3 [] | lost 1..3 (0?) refused'],
  ['claiming', 'stored', 'open e8 3/3 [] | stored 1..3'],
  ['claiming', 'duplicate', 'open e8 3/3 [] | stored 1..3 | duplicate #2'],
  ['claiming', 'fenced', 'open e8 1/3 [sending] | send #1 as 8/0'],
  ['claiming', 'early', 'open e8 1/3 [sending] | send #1 as 8/0'],
  ['claiming', 'gap', 'open e8 1/3 [sending] | send #1 as 8/0'],
  ['claiming', 'refused', 'open e8 1/3 [sending] | send #1 as 8/0'],
  ['claiming', 'unavailable', 'open e8 1/3 [sending] | send #1 as 8/0'],
  ['claiming', 'turnedAway', 'open e8 1/3 [sending] | send #1 as 8/0'],
  ['failing', 'sealed', 'failing e0 0/4 [sending idle sending]'],
  ['failing', 'waited', 'failing e0 0/3 [sending idle sending]'],
  ['failing', 'restarted', 'throws batches are not settled yet'],
  ['failing', 'resumed', 'throws batches are not settled yet'],
  ['failing', 'aborted', 'failed e0 3/3 [] | lost 0..3 (1?) refused'],
  ['failing', 'stored', 'open e0 2/3 [sending] | stored 0..2'],
  ['failing', 'duplicate', 'open e0 2/3 [sending] | stored 0..2 | duplicate #1'],
  ['failing', 'fenced', 'failing e0 0/3 [sending idle sending]'],
  ['failing', 'early', 'failing e0 0/3 [sending held sending]'],
  ['failing', 'gap', 'failing e0 0/3 [sending idle sending]'],
  ['failing', 'refused', 'failing e0 0/3 [sending idle sending]'],
  ['failing', 'unavailable', 'failing e0 0/3 [sending idle? sending] backing-off probing | wait 1'],
  ['failing', 'turnedAway', 'failing e0 0/3 [sending idle sending] backing-off probing | wait 1'],
  ['failed', 'sealed', 'failed e0 2/2 [] | lost 1..2 (0?) refused'],
  ['failed', 'waited', 'failed e0 1/1 []'],
  ['failed', 'restarted', 'open e1 1/1 []'],
  ['failed', 'resumed', 'open e0 0/1 [sending] | send #0 as 0/0'],
  ['failed', 'aborted', 'failed e0 1/1 []'],
  ['failed', 'stored', 'throws an answer without a request'],
  ['failed', 'duplicate', 'throws an answer without a request'],
  ['failed', 'fenced', 'throws an answer without a request'],
  ['failed', 'early', 'throws an answer without a request'],
  ['failed', 'gap', 'throws an answer without a request'],
  ['failed', 'refused', 'throws an answer without a request'],
  ['failed', 'unavailable', 'throws an answer without a request'],
  ['failed', 'turnedAway', 'throws an answer without a request'],
]

describe('a step from each state on each event', () => {
  it.each(table)('%s, %s', (name, event, expected) => {
    const state = states[name]
    expect(state).toBeDefined()
    expect(state && outcome(state, eventFor(state, event))).toBe(expected)
  })

  it('is in the table', () => {
    const all = Object.keys(states).flatMap((state) =>
      [...Object.keys(events), ...Object.keys(answers)].map((event) => `${state} ${event}`),
    )
    expect(table.map(([state, event]) => `${state} ${event}`).sort()).toEqual(all.sort())
  })
})

describe('a fenced producer', () => {
  const inFlight = reach(startProducer(claiming), sealed, answered(0, 'stored'), sealed, sealed, sealed)

  it('(C-140) renumbers what is not acknowledged, in order, when all requests are answered', () => {
    const drained = reach(inFlight, answered(2, 'fenced'), answered(1, 'fenced'))
    expect(drained.phase.kind).toBe('claiming')
    const claim = stepProducer(drained, answered(3, 'fenced'))
    expect(written(claim)).toBe('open e8 1/4 [sending] | send #1 as 8/0')
    expect(written(stepProducer(claim.state, answered(1, 'stored')))).toBe(
      'open e8 2/4 [sending sending] | stored 1..2 | send #2 as 8/1 | send #3 as 8/2',
    )
  })

  it('(C-140) does not number a batch anew that may be stored', () => {
    const unsure = reach(inFlight, answered(1, 'unavailable'), answered(2, 'fenced'))
    expect(written(stepProducer(unsure, answered(3, 'fenced')))).toBe(
      'failed e0 4/4 [] backing-off probing | lost 1..4 (1?) stale-epoch',
    )
  })

  it('(C-140) knows that a batch is stored by a later one that is', () => {
    const proved = reach(inFlight, answered(1, 'unavailable'), answered(2, 'stored'), answered(3, 'fenced'))
    expect(written({ state: proved, effects: [] })).toBe('open e8 3/4 [sending]')
  })

  it('(C-140) stops claiming when no claim gets further than its first batch', () => {
    let state = reach(startProducer(claiming), sealed)
    for (let claims = 0; claims < MAX_CONSECUTIVE_CLAIMS; claims++) {
      state = reach(state, answered(0, 'fenced'))
      expect(state.phase.kind).toBe('open')
    }
    expect(written(stepProducer(state, answered(0, 'fenced')))).toMatch(
      /^failed .* lost 0\.\.1 .* stale-epoch$/,
    )
  })

  it('(C-140) may claim again after it has written more than one batch', () => {
    const claims = (state: ProducerState): number => reach(state, answered(state.settled, 'fenced')).claims
    const once = reach(startProducer(claiming), sealed, answered(0, 'fenced'), answered(0, 'stored'), sealed)
    expect(claims(once)).toBe(2)
    expect(claims(reach(once, answered(1, 'stored'), sealed))).toBe(1)
  })
})

describe('a batch that comes too early', () => {
  it('(C-136) goes out again under its number when all before it are stored', () => {
    const held = reach(three, answered(1, 'early'), answered(2, 'early'))
    expect(written(stepProducer(held, answered(0, 'stored')))).toBe(
      'open e0 1/3 [sending held] | stored 0..1 | send #1 as 0/1',
    )
  })

  it('(C-136) is judged again when the verdict is older than the answer to the one before', () => {
    const stale = reach(three, answered(0, 'stored'))
    expect(written(stepProducer(stale, answered(1, 'early')))).toBe(
      'open e0 1/3 [sending sending] | send #1 as 0/1',
    )
  })

  it('(C-149) is a gap at once when all before it had been stored as it was sent', () => {
    const forgotten = reach(fresh, sealed, answered(0, 'stored'), sealed)
    expect(written(stepProducer(forgotten, answered(1, 'early')))).toBe(
      'failed e0 2/2 [] | lost 1..2 (0?) sequence-gap',
    )
  })
})

describe('the first batch of an epoch', () => {
  const older: ProducerEvent = {
    kind: 'answered',
    ordinal: 0,
    answer: { kind: 'duplicate', highestSeq: 4 },
  }
  const lost = answered(0, 'unavailable')

  it('(C-142) is sent under a new epoch when its number is taken at the first attempt', () => {
    const claim = stepProducer(reach(startProducer(claiming), sealed), answered(0, 'duplicate'))
    expect(written(claim)).toBe('open e1 0/1 [sending] | send #0 as 1/0')
  })

  it('(C-141) counts as stored when an earlier attempt went unanswered', () => {
    const again = reach(startProducer(claiming), sealed, lost, waited)
    expect(written(stepProducer(again, answered(0, 'duplicate')))).toBe(
      'open e0 1/1 [] | stored 0..1 | duplicate #0',
    )
  })

  it('(C-142) is not taken for stored when the server knows numbers that were never sent', () => {
    const again = reach(startProducer(claiming), sealed, lost, waited)
    expect(written(stepProducer(again, older))).toBe('open e1 0/1 [sending] | send #0 as 1/0')
  })

  it('(C-142) is sent under a new epoch when the epoch to begin with is old, though an attempt was lost', () => {
    const again = reach(startProducer(claiming), sealed, lost, waited)
    expect(written(stepProducer(again, answered(0, 'fenced')))).toBe('open e8 0/1 [sending] | send #0 as 8/0')
  })

  it('(C-140) is given up when a claim of its own went unanswered and was fenced', () => {
    const again = reach(startProducer(claiming), sealed, answered(0, 'fenced'), lost, waited)
    const outbid = { kind: 'answered', ordinal: 0, answer: { kind: 'fenced', epoch: 9 } } as const
    expect(written(stepProducer(again, outbid))).toMatch(/lost 0\.\.1 \(1\?\) stale-epoch$/)
  })

  it('(C-143) counts as stored without autoClaim, and looks suspicious', () => {
    expect(written(stepProducer(reach(fresh, sealed), older))).toBe(
      'open e0 1/1 [] | stored 0..1 | duplicate #0 suspicious',
    )
  })

  it('is fenced without autoClaim when a restart met another claimer', () => {
    const claimed = reach(fresh, restarted, sealed)
    expect(written(stepProducer(claimed, older))).toBe('failed e1 1/1 [] | lost 0..1 (0?) stale-epoch')
  })

  it('(C-139) is alone until it is stored, and the others have no number', () => {
    const waiting = reach(startProducer(claiming), sealed, sealed, sealed)
    expect(waiting.running).toBe(1)
    expect(nextSeq(waiting)).toBe(1)
    expect(nextSeq(reach(waiting, answered(0, 'stored')))).toBe(3)
  })

  it('has the number 0 in each epoch', () => {
    expect(nextSeq(fresh)).toBe(0)
    expect(nextSeq(three)).toBe(3)
    expect(nextSeq(reach(fresh, sealed, answered(0, 'stored'), restarted))).toBe(0)
  })
})

describe('a batch that can not be delivered', () => {
  it('does not keep those before it from being delivered', () => {
    const state = reach(three, answered(0, 'unavailable'), answered(1, 'refused'), answered(2, 'early'))
    expect(written({ state, effects: [] })).toBe('failing e0 0/3 [idle? idle held] backing-off probing')
    const resent = reach(state, waited)
    expect(written(stepProducer(resent, answered(0, 'stored')))).toBe(
      'failed e0 3/3 [] | stored 0..1 | lost 1..3 (0?) refused',
    )
  })

  it('is given up after maxRetries', () => {
    const impatient = reach(
      startProducer({ ...rules, maxRetries: 1 }),
      sealed,
      answered(0, 'unavailable'),
      waited,
    )
    expect(written(stepProducer(impatient, answered(0, 'unavailable')))).toBe(
      'failed e0 1/1 [] probing | lost 0..1 (1?) refused',
    )
  })

  it('(C-145) is followed by none until a restart, which outbids the epoch it was fenced by', () => {
    const failed = reach(fresh, sealed, answered(0, 'fenced'))
    expect(written(stepProducer(failed, sealed))).toMatch(/lost 1\.\.2 .* stale-epoch$/)
    expect(reach(failed, restarted).epoch).toBe(8)
    expect(reach(fresh, sealed, answered(0, 'refused'), restarted).epoch).toBe(1)
  })

  it('(C-146) keeps its number, and what is known of it, when it is resumed', () => {
    const unsure = reach(startProducer({ ...claiming, maxRetries: 0 }), sealed, answered(0, 'unavailable'))
    const again = stepProducer(unsure, resumed)
    expect(written(again)).toBe('open e0 0/1 [sending?] | send #0 as 0/0')
    expect(written(stepProducer(again.state, answered(0, 'duplicate')))).toBe(
      'open e0 1/1 [] | stored 0..1 | duplicate #0',
    )
  })
})

it('(C-150) remembers the batches in flight only, after a hundred thousand', () => {
  let state = fresh
  for (let ordinal = 0; ordinal < 100_000; ordinal++) {
    state = reach(state, sealed, answered(ordinal, 'stored'))
  }
  expect(nextSeq(state)).toBe(100_000)
  expect(JSON.stringify(state).length).toBeLessThan(400)
})
