/** PUT, judged in the order of sections 4.1 and 13.2. The reference on a fork's source is taken last, with it. */
import type { CreateCommand, ForkRequest } from './command.ts'
import { type Change, type Decision, type Rules, reject, type View } from './decision.ts'
import { type Expiry, isSameExpiry, NEVER } from './expiry.ts'
import { generationAt, tailOf, withCut } from './generation.ts'
import { encodeJsonMessages } from './json-messages.ts'
import { PROTOCOL_LIMITS } from './limits.ts'
import { clip, lineage } from './lineage.ts'
import { livenessOf } from './liveness.ts'
import { DEFAULT_CONTENT_TYPE } from './media-type.ts'
import type { Outcome } from './outcome.ts'
import { badRequest, type Rejection } from './rejection.ts'
import type {
  AppendedEvent,
  ForkOrigin,
  StreamConfig,
  StreamEvent,
  StreamId,
  StreamState,
} from './stream-state.ts'

/** A fork point looked up in the source's bytes: where the fork's own bytes will begin, or why it cannot. */
export type ForkPoint =
  | {
      readonly kind: 'found'
      readonly sourceId: StreamId
      readonly forkPosition: number
      readonly ownFrom: number
    }
  | { readonly kind: 'refused'; readonly sourceId: StreamId; readonly rejection: Rejection }

/**
 * Judges one PUT. For a fork, `point` is what the engine found in the source's bytes beforehand; bytes below a
 * durable tail never change, so it holds as long as the source is the same incarnation.
 */
export function decideCreate(
  view: View,
  command: CreateCommand,
  point: ForkPoint | undefined,
  nowMs: number,
  rules: Rules,
): Decision {
  const target = livenessOf(view.stream(command.path), nowMs)
  if (target.kind === 'gone') return reject({ kind: 'path-blocked' })
  if (target.kind === 'live') return decideOnExisting(target.state, command)
  // An expired stream is purged by a command of its own first: its bytes and its source's reference go with it.
  if (view.stream(command.path) !== undefined) return { kind: 'stale' }
  if (command.fork === undefined) return createPlain(command, nowMs, rules)
  return createFork(view, command, command.fork, point, nowMs, rules)
}

function decideOnExisting(state: StreamState, command: CreateCommand): Decision {
  const difference = firstDifference(state, command)
  if (difference) return reject({ kind: 'already-exists', detail: difference })
  const { path, contentType, closed } = state
  return { kind: 'repeat', outcome: { kind: 'exists', path, contentType, ...tailOf(state), closed } }
}

/** Section 4.2: what the request asks for that the stream is not; `undefined` when they agree. */
function firstDifference(state: StreamState, command: CreateCommand): string | undefined {
  const mediaType = command.mediaType ?? (state.fork && command.fork ? state.mediaType : DEFAULT_CONTENT_TYPE)
  if (mediaType !== state.mediaType) {
    return `The stream exists with Content-Type ${state.contentType}, not ${mediaType}.`
  }
  const inherits = command.expiry === undefined && command.fork !== undefined && state.fork?.expiryInherited
  if (!inherits && !isSameExpiry(command.expiry ?? NEVER, state.expiry)) {
    return 'The stream exists with another Stream-TTL or Stream-Expires-At.'
  }
  if (command.closed !== state.closed) {
    return state.closed ? 'The stream exists and is closed.' : 'The stream exists and is open.'
  }
  return isSameFork(state.fork, command.fork) ? undefined : 'The stream exists with another fork origin.'
}

function isSameFork(origin: ForkOrigin | undefined, request: ForkRequest | undefined): boolean {
  if (origin === undefined || request === undefined) return origin === undefined && request === undefined
  const { forkAt } = request
  const isSamePlace =
    forkAt === undefined ||
    (forkAt.position === origin.forkPosition &&
      forkAt.generation === generationAt(origin.cuts, forkAt.position))
  return origin.sourcePath === request.sourcePath && isSamePlace && request.subOffset === origin.subOffset
}

function createPlain(command: CreateCommand, nowMs: number, rules: Rules): Decision {
  const contentType = command.contentType ?? DEFAULT_CONTENT_TYPE
  const mediaType = command.mediaType ?? DEFAULT_CONTENT_TYPE
  const { id, path } = command
  const expiry = command.expiry ?? NEVER
  return create(command, { id, path, contentType, mediaType, expiry, fork: undefined }, [], nowMs, rules)
}

function createFork(
  view: View,
  command: CreateCommand,
  request: ForkRequest,
  point: ForkPoint | undefined,
  nowMs: number,
  rules: Rules,
): Decision {
  const found = livenessOf(view.stream(request.sourcePath), nowMs)
  if (found.kind === 'absent') return reject({ kind: 'fork-source-not-found' })
  if (found.kind === 'gone') return reject({ kind: 'fork-from-tombstone' })
  const source = found.state
  if (command.mediaType !== undefined && command.mediaType !== source.mediaType) {
    const received = command.contentType ?? command.mediaType
    return reject({ kind: 'content-type-mismatch', expected: source.contentType, received })
  }
  const ancestors = [source.path, ...(source.fork?.ancestors ?? [])]
  if (ancestors.length > PROTOCOL_LIMITS.maxForkDepth) {
    return reject(badRequest(`A chain of forks is at most ${PROTOCOL_LIMITS.maxForkDepth} streams long.`))
  }
  if (point === undefined || point.sourceId !== source.id) return { kind: 'stale' }
  if (point.kind === 'refused') return reject(point.rejection)
  // A fork without an offset leaves at the tail of this very moment, so that it misses no accepted append.
  const atTail = request.forkAt === undefined
  const ownFrom = atTail ? source.tail : point.ownFrom
  const fork: ForkOrigin = {
    sourcePath: source.path,
    sourceId: source.id,
    forkPosition: atTail ? source.tail : point.forkPosition,
    subOffset: request.subOffset,
    ownFrom,
    inherited: clip(lineage(source), 0, ownFrom),
    ancestors,
    expiryInherited: command.expiry === undefined,
    cuts: source.cuts.filter(({ from }) => from < ownFrom),
  }
  const config: StreamConfig = {
    id: command.id,
    path: command.path,
    contentType: command.contentType ?? source.contentType,
    mediaType: source.mediaType,
    expiry: inheritedExpiry(command.expiry, source),
    fork,
  }
  const reference: Change = { path: source.path, events: [{ kind: 'referenced' }], payload: undefined }
  return create(command, config, [reference], nowMs, rules)
}

/** Section 13.5: a requested expiry stands as it is, never capped by the source's. */
function inheritedExpiry(requested: Expiry | undefined, source: StreamState): Expiry {
  return requested ?? source.expiry
}

function create(
  command: CreateCommand,
  config: StreamConfig,
  others: readonly Change[],
  nowMs: number,
  rules: Rules,
): Decision {
  const body = encodeBody(command.body, config.mediaType)
  if (body.kind === 'refused') return reject(body.rejection)
  const limitBytes = rules.maxStreamBytes
  if (limitBytes !== undefined && body.bytes !== undefined && body.bytes.length > limitBytes) {
    return reject({ kind: 'stream-too-large', limitBytes })
  }
  const unit = body.bytes && { sizeBytes: body.bytes.length, messages: body.messages }
  const appended: AppendedEvent = {
    kind: 'appended',
    unit,
    closes: command.closed,
    producer: undefined,
    streamSeq: undefined,
    forgetBeforeMs: undefined,
    atMs: nowMs,
  }
  const empty = { tail: config.fork?.ownFrom ?? 0, cuts: config.fork?.cuts ?? [] }
  const { events, after } = withCut(empty, appended, rules.generation)
  const { path, contentType } = config
  const created: StreamEvent = { kind: 'created', config, atMs: nowMs }
  const change: Change = {
    path,
    events: unit !== undefined || command.closed ? [created, ...events] : [created],
    payload: body.bytes,
  }
  const outcome: Outcome = { kind: 'created', path, contentType, ...after, closed: command.closed }
  return { kind: 'accept', changes: [change, ...others], outcome }
}

type EncodedBody =
  | { readonly kind: 'encoded'; readonly bytes: Uint8Array | undefined; readonly messages: number }
  | { readonly kind: 'refused'; readonly rejection: Rejection }

/** The initial body in stored form; an empty body and, in JSON mode, `[]` make an empty stream. */
function encodeBody(body: Uint8Array, mediaType: string): EncodedBody {
  if (body.length === 0) return { kind: 'encoded', bytes: undefined, messages: 0 }
  if (mediaType !== 'application/json') return { kind: 'encoded', bytes: body, messages: 1 }
  const json = encodeJsonMessages(body, PROTOCOL_LIMITS.maxJsonDepth)
  switch (json.kind) {
    case 'messages':
      return { kind: 'encoded', bytes: json.bytes, messages: json.count }
    case 'empty-array':
      return { kind: 'encoded', bytes: undefined, messages: 0 }
    case 'invalid':
      return { kind: 'refused', rejection: { kind: 'invalid-json', detail: invalidJsonDetail(json) } }
  }
}

/** Where a JSON body breaks the grammar, as a sentence. */
export function invalidJsonDetail(invalid: { readonly at: number; readonly reason: string }): string {
  return `${invalid.reason} (at byte ${invalid.at} of the body)`
}
