/** POST, judged in the order of section 5.1: the first failure wins, and a failure changes nothing. */
import type { AppendCommand } from './command.ts'
import { type Change, type Decision, type Rules, reject } from './decision.ts'
import { offsetAt, tailOf, withCut } from './generation.ts'
import { PROTOCOL_LIMITS } from './limits.ts'
import { livenessOf, missing } from './liveness.ts'
import type { Outcome, ProducerReport } from './outcome.ts'
import type { ProducerStamp } from './producer-table.ts'
import { badRequest, type Rejection } from './rejection.ts'
import { type AppendedEvent, ownBytes, type StreamState } from './stream-state.ts'

/** Judges one append or close on the decided state of its stream. */
export function decideAppend(
  stream: StreamState | undefined,
  command: AppendCommand,
  nowMs: number,
  rules: Rules,
): Decision {
  const liveness = livenessOf(stream, nowMs)
  if (liveness.kind !== 'live') return reject(missing(liveness))
  const { state } = liveness
  if (state.closed) return decideOnClosed(state, command)
  const refused = refusePayload(state, command)
  if (refused) return reject(refused)
  const known = command.producer && judgeProducer(state, command.producer, nowMs, rules)
  if (known) return known
  // Bytewise, on the octets as received (latin1 code units are octets).
  if (
    command.streamSeq !== undefined &&
    state.streamSeq !== undefined &&
    command.streamSeq <= state.streamSeq
  ) {
    return reject({ kind: 'stream-seq-conflict', last: state.streamSeq })
  }
  const limitBytes = rules.maxStreamBytes
  if (limitBytes !== undefined && ownBytes(state) + payloadBytes(command) > limitBytes) {
    return reject({ kind: 'stream-too-large', limitBytes })
  }
  return accept(state, command, nowMs, rules)
}

function payloadBytes({ payload }: AppendCommand): number {
  return payload.kind === 'bytes' ? payload.bytes.length : 0
}

/** Producers that were not heard of since then are forgotten when room is needed. */
function forgottenBefore(nowMs: number, { producerIdleMs }: Rules): number | undefined {
  return producerIdleMs === undefined ? undefined : nowMs - producerIdleMs
}

function decideOnClosed(state: StreamState, command: AppendCommand): Decision {
  const { producer } = command
  const closeOnly = command.closes && command.payload.kind === 'none'
  if (closeOnly && producer === undefined) {
    return {
      kind: 'repeat',
      outcome: { kind: 'closed', ...tailOf(state), closed: true, producer: undefined },
    }
  }
  const by = state.closedBy
  if (producer && by && producer.id === by.id && producer.epoch === by.epoch && producer.seq === by.seq) {
    return { kind: 'repeat', outcome: duplicate(state, { epoch: by.epoch, seq: by.seq }) }
  }
  return reject({ kind: 'stream-closed', next: offsetAt(state, state.tail) })
}

function duplicate(state: StreamState, producer: ProducerReport): Outcome {
  return { kind: 'duplicate', ...tailOf(state), closed: state.closed, producer }
}

/** Steps 11 and 12. A close-only request has no payload and may carry any content type. */
function refusePayload(state: StreamState, command: AppendCommand): Rejection | undefined {
  const { payload, mediaType } = command
  if (payload.kind === 'none') return undefined
  if (mediaType !== state.mediaType) {
    return { kind: 'content-type-mismatch', expected: state.contentType, received: mediaType ?? 'none' }
  }
  if (payload.kind === 'invalid-json') return { kind: 'invalid-json', detail: payload.detail }
  return payload.kind === 'empty-array' ? { kind: 'empty-array' } : undefined
}

/** Section 6: `undefined` means that the request is new and in order. */
function judgeProducer(
  state: StreamState,
  producer: ProducerStamp,
  nowMs: number,
  rules: Rules,
): Decision | undefined {
  const { epoch, seq } = producer
  const forgetBeforeMs = forgottenBefore(nowMs, rules)
  const found = state.producers.get(producer.id)
  const known =
    found && forgetBeforeMs !== undefined && found.updatedAtMs < forgetBeforeMs ? undefined : found
  if (known === undefined) {
    if (seq > 0) return reject({ kind: 'producer-gap', expected: 0, received: seq })
    const limit = maxProducers(rules)
    if (found === undefined && isFull(state, limit, forgetBeforeMs)) {
      return reject({ kind: 'too-many-producers', limit })
    }
    return undefined
  }
  if (epoch < known.epoch) return reject({ kind: 'producer-fenced', epoch: known.epoch })
  if (epoch > known.epoch) {
    return seq === 0 ? undefined : reject(badRequest('A new Producer-Epoch starts with Producer-Seq 0.'))
  }
  if (seq <= known.lastSeq) {
    return { kind: 'repeat', outcome: duplicate(state, { epoch, seq: known.lastSeq }) }
  }
  if (seq > known.lastSeq + 1) {
    return reject({ kind: 'producer-gap', expected: known.lastSeq + 1, received: seq })
  }
  return undefined
}

function maxProducers(rules: Rules): number {
  return rules.maxProducers ?? PROTOCOL_LIMITS.maxProducers
}

function isFull(state: StreamState, limit: number, forgetBeforeMs: number | undefined): boolean {
  if (state.producers.size < limit) return false
  const kept = forgetBeforeMs === undefined ? state.producers : state.producers.withoutIdle(forgetBeforeMs)
  return kept.size >= limit
}

function accept(state: StreamState, command: AppendCommand, nowMs: number, rules: Rules): Decision {
  const { payload, producer, closes } = command
  const bytes = payload.kind === 'bytes' ? payload : undefined
  const unit = bytes && { sizeBytes: bytes.bytes.length, messages: bytes.messages }
  // Idle producers are swept only when the table is full, so that an append does not pay for it.
  const sweeps = producer !== undefined && state.producers.size >= maxProducers(rules)
  const appended: AppendedEvent = {
    kind: 'appended',
    unit,
    closes,
    producer,
    streamSeq: command.streamSeq,
    forgetBeforeMs: sweeps ? forgottenBefore(nowMs, rules) : undefined,
    atMs: nowMs,
  }
  const { events, after } = withCut(state, appended, rules.generation)
  const change: Change = { path: state.path, events, payload: bytes?.bytes }
  const outcome: Outcome = {
    kind: unit === undefined ? 'closed' : 'appended',
    ...after,
    closed: closes,
    producer: producer && { epoch: producer.epoch, seq: producer.seq },
  }
  return { kind: 'accept', changes: [change], outcome }
}
