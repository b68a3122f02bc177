/**
 * What an idempotent producer knows, as a pure state machine: which batches are stored, which may be, who owns the
 * epoch, and what to send next. It knows ordinals only: payloads, timers and requests belong to the producer.
 *
 * Three facts carry it. A server accepts the numbers of one epoch without holes, so one accepted batch proves all
 * batches before it, and one that was surely refused disproves all after it. A repeat within an epoch is harmless,
 * so anything may be sent again under its own number. A new epoch forgets the old numbers, so a batch may be
 * renumbered only when it is certain that it was not stored.
 */

/** Claims in a row, none of which got further than its first batch, before two claimers stop fencing each other. */
export const MAX_CONSECUTIVE_CLAIMS = 5

/** What stays the same for the life of a producer. */
export interface ProducerRules {
  /** The epoch to begin with. */
  readonly epoch: number
  readonly autoClaim: boolean
  /** Batches that may be sent and not yet acknowledged. */
  readonly maxInFlight: number
  /** Failed attempts of one batch, after the first, before it is given up. */
  readonly maxRetries: number
}

/** Why batches can't be delivered. */
export type ProducerFailure =
  | { readonly kind: 'stale-epoch'; readonly currentEpoch: number }
  | { readonly kind: 'sequence-gap'; readonly expectedSeq: number; readonly receivedSeq: number }
  | { readonly kind: 'refused'; readonly error: Error }

/** What became of one request. */
export type ProducerAnswer =
  | { readonly kind: 'stored' }
  /** Success, without a write; `highestSeq` is the last number the server has accepted in this epoch. */
  | { readonly kind: 'duplicate'; readonly highestSeq: number | undefined }
  | { readonly kind: 'fenced'; readonly epoch: number }
  | { readonly kind: 'gap'; readonly expectedSeq: number; readonly receivedSeq: number }
  | { readonly kind: 'refused'; readonly error: Error }
  /** No verdict. `mayBeStored` unless the server said that it did nothing; `isLast` when nobody wants another attempt. */
  | {
      readonly kind: 'unavailable'
      readonly error: Error
      readonly mayBeStored: boolean
      readonly retryAfterMs: number
      readonly isLast?: boolean
    }

export type ProducerEvent =
  | { readonly kind: 'sealed' }
  | { readonly kind: 'answered'; readonly ordinal: number; readonly answer: ProducerAnswer }
  /** The time that the last `back-off` effect asked for is over. */
  | { readonly kind: 'waited' }
  /** A new epoch after everything is settled, at the caller's wish. */
  | { readonly kind: 'restarted' }
  /** The last batch, which failed, is sent again under its number: a close is tried once more. */
  | { readonly kind: 'resumed' }
  | { readonly kind: 'aborted'; readonly error: Error }

export type ProducerEffect =
  | { readonly kind: 'send'; readonly ordinal: number; readonly epoch: number; readonly seq: number }
  /** Batches `from` (inclusive) to `to` (exclusive) are stored. */
  | { readonly kind: 'acknowledged'; readonly from: number; readonly to: number }
  /** Batches that are given up; the first `mayBeStored` of them may have been stored all the same. */
  | {
      readonly kind: 'undelivered'
      readonly from: number
      readonly to: number
      readonly mayBeStored: number
      readonly failure: ProducerFailure
    }
  /** Wait, then report `waited`. */
  | { readonly kind: 'back-off'; readonly failures: number; readonly retryAfterMs: number }
  /** A batch counted as stored although another writer may have used its number. */
  | { readonly kind: 'duplicate'; readonly ordinal: number; readonly isSuspicious: boolean }

/** A batch that has been sent under the present epoch and is not acknowledged. */
interface Transmission {
  /** `held`: came before its predecessors, goes out again when they are all stored. `idle`: to be sent again. */
  readonly status: 'sending' | 'held' | 'idle'
  /** Some attempt had no verdict. */
  readonly mayBeStored: boolean
  readonly failures: number
  /** `settled` at the last attempt: what the server had surely seen before it. */
  readonly settledBefore: number
}

type Phase =
  | { readonly kind: 'open' }
  /** Fenced: nothing is sent until all requests of the old epoch are answered; then a new one is claimed. */
  | { readonly kind: 'claiming'; readonly fencedBy: number }
  /** The batch `ordinal` can't be delivered, nor can any after it; those before it still can if it was only refused. */
  | { readonly kind: 'failing'; readonly failure: ProducerFailure; readonly ordinal: number }
  | { readonly kind: 'failed'; readonly failure: ProducerFailure; readonly lastMayBeStored: boolean }

export interface ProducerState {
  readonly rules: ProducerRules
  readonly phase: Phase
  readonly epoch: number
  /** Ordinal of the batch with number 0 of this epoch. */
  readonly firstOrdinal: number
  /** All batches below are acknowledged or given up. */
  readonly settled: number
  /** Ordinal that the next sealed batch gets. */
  readonly sealed: number
  /** The batches sent, from `settled` on; never more than `maxInFlight`. */
  readonly sent: readonly Transmission[]
  /** Requests without an answer, those of batches that were proved stored meanwhile included. */
  readonly running: number
  readonly claims: number
  /** The last attempt failed: one batch at a time until one is stored. */
  readonly isProbing: boolean
  readonly isBackingOff: boolean
}

export interface ProducerStep {
  readonly state: ProducerState
  readonly effects: readonly ProducerEffect[]
}

const OPEN: Phase = { kind: 'open' }

/** A producer that has sent nothing. */
export function startProducer(rules: ProducerRules): ProducerState {
  return {
    rules,
    phase: OPEN,
    epoch: rules.epoch,
    firstOrdinal: 0,
    settled: 0,
    sealed: 0,
    sent: [],
    running: 0,
    claims: 0,
    isProbing: false,
    isBackingOff: false,
  }
}

/** The number that the next sealed batch gets; behind the barrier only the first batch has one. */
export function nextSeq(state: ProducerState): number {
  const count = state.sealed - state.firstOrdinal
  return isBehindBarrier(state) ? Math.min(1, count) : count
}

/** Applies one event. Total over phases and events; throws only when the caller breaks the order of events. */
export function stepProducer(state: ProducerState, event: ProducerEvent): ProducerStep {
  switch (event.kind) {
    case 'sealed':
      return seal(state)
    case 'answered':
      return answer(state, event.ordinal, event.answer)
    case 'waited':
      return proceed({ ...state, isBackingOff: false }, [])
    case 'restarted':
      return proceed(restart(state), [])
    case 'resumed':
      return proceed(resume(state), [])
    case 'aborted':
      return giveUp(state, { kind: 'refused', error: event.error })
  }
}

function seal(state: ProducerState): ProducerStep {
  const next = { ...state, sealed: state.sealed + 1 }
  return state.phase.kind === 'failed' ? giveUp(next, state.phase.failure) : proceed(next, [])
}

function answer(before: ProducerState, ordinal: number, verdict: ProducerAnswer): ProducerStep {
  if (before.running === 0) throw new Error('an answer without a request')
  const state = { ...before, running: before.running - 1 }
  const transmission = state.sent[ordinal - state.settled]
  // Settled meanwhile: by the answer to a later batch, or given up.
  if (ordinal < state.settled || transmission === undefined) return proceed(state, [])
  switch (verdict.kind) {
    case 'stored':
      return acknowledge(state, ordinal, [])
    case 'duplicate':
      return repeated(state, ordinal, transmission, verdict.highestSeq)
    case 'fenced':
      return proceed(fence(mark(state, ordinal, { status: 'idle' }), ordinal, verdict.epoch), [])
    case 'gap':
      return proceed(hold(state, ordinal, transmission, verdict), [])
    case 'refused': {
      const failure = { kind: 'refused', error: verdict.error } as const
      return proceed(fail(mark(state, ordinal, { status: 'idle' }), ordinal, failure), [])
    }
    case 'unavailable':
      return retry(state, ordinal, transmission, verdict)
  }
}

/** One stored batch proves all before it: the server takes the numbers of an epoch without holes. */
function acknowledge(state: ProducerState, ordinal: number, more: readonly ProducerEffect[]): ProducerStep {
  const to = ordinal + 1
  const next: ProducerState = {
    ...state,
    settled: to,
    sent: state.sent.slice(to - state.settled),
    isProbing: false,
    claims: ordinal > state.firstOrdinal ? 0 : state.claims,
  }
  return proceed(next, [{ kind: 'acknowledged', from: state.settled, to }, ...more])
}

/**
 * The number had been used. By this producer, when an earlier attempt went unanswered. Otherwise, for number 0, by an
 * older incarnation with the same id and epoch: then the batch is not stored, and only a new epoch gets it in.
 * One case can't be told apart: an attempt went unanswered, and the other wrote exactly one batch. It counts as stored.
 */
function repeated(
  state: ProducerState,
  ordinal: number,
  { mayBeStored }: Transmission,
  highestSeq: number | undefined,
): ProducerStep {
  const highestSent = state.settled + state.sent.length - 1 - state.firstOrdinal
  const isBeyondSent = highestSeq !== undefined && highestSeq > highestSent
  const isForeign = ordinal === state.firstOrdinal && (isBeyondSent || !mayBeStored)
  // Without `autoClaim`, a first batch that is already there is a job done again on purpose.
  const isReplay = !state.rules.autoClaim && state.epoch === state.rules.epoch
  if (!isForeign || isReplay) {
    const isSuspicious = isForeign || isBeyondSent
    return acknowledge(state, ordinal, [{ kind: 'duplicate', ordinal, isSuspicious }])
  }
  // Whatever the earlier attempts met, it was the other's batch: this one is certainly not stored.
  const unstored = mark(state, ordinal, { status: 'idle', mayBeStored: false })
  return proceed(fence(unstored, ordinal, state.epoch), [])
}

function fence(state: ProducerState, ordinal: number, epoch: number): ProducerState {
  const { phase, rules } = state
  const fencedBy = Math.max(epoch, state.epoch, phase.kind === 'claiming' ? phase.fencedBy : 0)
  if (phase.kind === 'claiming') return { ...state, phase: { kind: 'claiming', fencedBy } }
  if (rules.autoClaim && state.claims < MAX_CONSECUTIVE_CLAIMS && phase.kind === 'open') {
    return { ...state, phase: { kind: 'claiming', fencedBy } }
  }
  return fail(state, ordinal, { kind: 'stale-epoch', currentEpoch: epoch })
}

/**
 * Early, when a predecessor was not known to be stored as it was sent: the verdict may be older than the
 * predecessor's. A gap, when the server has lost what it had confirmed before.
 */
function hold(
  state: ProducerState,
  ordinal: number,
  { settledBefore }: Transmission,
  { expectedSeq, receivedSeq }: { readonly expectedSeq: number; readonly receivedSeq: number },
): ProducerState {
  const isForgotten = expectedSeq < settledBefore - state.firstOrdinal
  const isEarly = !isForgotten && expectedSeq < ordinal - state.firstOrdinal
  if (isEarly) return mark(state, ordinal, { status: 'held' })
  const refused = mark(state, ordinal, { status: 'idle' })
  return fail(refused, ordinal, { kind: 'sequence-gap', expectedSeq, receivedSeq })
}

function retry(
  state: ProducerState,
  ordinal: number,
  transmission: Transmission,
  { error, mayBeStored, retryAfterMs, isLast = false }: Extract<ProducerAnswer, { kind: 'unavailable' }>,
): ProducerStep {
  const failures = transmission.failures + 1
  const unsure = transmission.mayBeStored || mayBeStored
  const marked = mark(state, ordinal, { status: 'idle', failures, mayBeStored: unsure })
  const isGivenUp = isLast || failures > state.rules.maxRetries
  if (isGivenUp) return proceed(fail(marked, ordinal, { kind: 'refused', error }), [])
  // One wait for all: the batches in flight fail together when a server goes away.
  if (state.phase.kind === 'claiming' || state.isBackingOff) return proceed(marked, [])
  const waiting = { ...marked, isProbing: true, isBackingOff: true }
  return proceed(waiting, [{ kind: 'back-off', failures, retryAfterMs }])
}

/** The earliest batch decides. While an epoch is claimed nothing does: all are sent again and judged again. */
function fail(state: ProducerState, ordinal: number, failure: ProducerFailure): ProducerState {
  const { phase } = state
  const isFirst = phase.kind === 'open' || (phase.kind === 'failing' && ordinal < phase.ordinal)
  return isFirst ? { ...state, phase: { kind: 'failing', failure, ordinal } } : state
}

function mark(state: ProducerState, ordinal: number, change: Partial<Transmission>): ProducerState {
  const at = ordinal - state.settled
  const sent = state.sent.map((transmission, i) => (i === at ? { ...transmission, ...change } : transmission))
  return { ...state, sent }
}

/** What follows from the state alone: a claim, the end of a failure, or the next requests. */
function proceed(state: ProducerState, effects: readonly ProducerEffect[]): ProducerStep {
  const { phase } = state
  if (phase.kind === 'open') return dispatch(state, effects, state.sealed)
  if (phase.kind === 'failed') return { state, effects }
  if (phase.kind === 'claiming') {
    return state.running > 0 ? { state, effects } : claim(state, phase.fencedBy, effects)
  }
  // A later answer may prove that the batch is stored after all.
  if (phase.ordinal < state.settled) return dispatch({ ...state, phase: OPEN }, effects, state.sealed)
  if (phase.failure.kind === 'refused' && state.settled < phase.ordinal) {
    return dispatch(state, effects, phase.ordinal)
  }
  if (state.running > 0) return { state, effects }
  const given = giveUp(state, phase.failure)
  return { state: given.state, effects: [...effects, ...given.effects] }
}

/**
 * All requests of the old epoch are answered. The first batch that is not acknowledged decides: was it surely refused,
 * then so was every later one, and all can be renumbered. If nobody knows, a new number could store it twice.
 *
 * The epoch to begin with is mostly an old one, and a process that starts while the server does must get through: its
 * first batch counts as refused all along, though another may have taken over just after it was stored.
 */
function claim(state: ProducerState, fencedBy: number, effects: readonly ProducerEffect[]): ProducerStep {
  const isFirstEver = state.epoch === state.rules.epoch && state.settled === 0
  if (state.sent[0]?.mayBeStored === true && !isFirstEver) {
    const given = giveUp(state, { kind: 'stale-epoch', currentEpoch: fencedBy })
    return { state: given.state, effects: [...effects, ...given.effects] }
  }
  const claimed = { ...newEpoch(state, fencedBy + 1), claims: state.claims + 1 }
  return dispatch(claimed, effects, claimed.sealed)
}

function newEpoch(state: ProducerState, epoch: number): ProducerState {
  return {
    ...state,
    phase: OPEN,
    epoch,
    firstOrdinal: state.settled,
    sent: [],
    isProbing: false,
    isBackingOff: false,
  }
}

function giveUp(state: ProducerState, failure: ProducerFailure): ProducerStep {
  const { settled: from, sealed: to } = state
  const mayBeStored = countUnsure(state.sent)
  const lastMayBeStored = mayBeStored > 0 && mayBeStored === to - from
  const phase: Phase = { kind: 'failed', failure, lastMayBeStored }
  const next = { ...state, phase, settled: to, sent: [] }
  if (from === to) return { state: next, effects: [] }
  return { state: next, effects: [{ kind: 'undelivered', from, to, mayBeStored, failure }] }
}

/** A batch that was surely refused disproves all after it. */
function countUnsure(sent: readonly Transmission[]): number {
  const firstRefused = sent.findIndex(({ mayBeStored, status }) => !mayBeStored && status !== 'sending')
  return firstRefused === -1 ? sent.length : firstRefused
}

function restart(state: ProducerState): ProducerState {
  assertSettled(state)
  const { phase } = state
  const stale =
    phase.kind === 'failed' && phase.failure.kind === 'stale-epoch' ? phase.failure.currentEpoch : 0
  return { ...newEpoch(state, Math.max(state.epoch, stale) + 1), claims: 0 }
}

function resume(state: ProducerState): ProducerState {
  assertSettled(state)
  if (state.phase.kind !== 'failed') throw new Error('only what has failed can be resumed')
  const settled = state.sealed - 1
  const again: Transmission = {
    status: 'idle',
    mayBeStored: state.phase.lastMayBeStored,
    failures: 0,
    settledBefore: settled,
  }
  return { ...state, phase: OPEN, settled, sent: [again], isProbing: false, isBackingOff: false }
}

function assertSettled(state: ProducerState): void {
  if (state.settled < state.sealed) throw new Error('batches are not settled yet')
}

/** A server takes number 0 first in a new epoch, and with `autoClaim` the first answer may change the epoch. */
function isBehindBarrier({ rules, epoch, settled, firstOrdinal }: ProducerState): boolean {
  return (rules.autoClaim || epoch > 0) && settled === firstOrdinal
}

/** Sends what may be sent now of the batches below `limit`. */
function dispatch(state: ProducerState, effects: readonly ProducerEffect[], limit: number): ProducerStep {
  if (state.isBackingOff || state.settled >= limit) return { state, effects }
  const sent = state.sent.slice()
  const sends: ProducerEffect[] = []
  const width = isBehindBarrier(state) || state.isProbing ? 1 : state.rules.maxInFlight
  let { running } = state
  const end = Math.min(width, limit - state.settled)
  for (let at = 0; at < end; at++) {
    const known = sent[at]
    // The first is always sent: each batch has one request at most, so the total stays bounded.
    if (at > 0 && running >= width) break
    if (known !== undefined && (known.status === 'sending' || (known.status === 'held' && at > 0))) continue
    const { mayBeStored, failures } = known ?? { mayBeStored: false, failures: 0 }
    sent[at] = { status: 'sending', mayBeStored, failures, settledBefore: state.settled }
    const ordinal = state.settled + at
    sends.push({ kind: 'send', ordinal, epoch: state.epoch, seq: ordinal - state.firstOrdinal })
    running++
  }
  return { state: { ...state, sent, running }, effects: [...effects, ...sends] }
}
