/** What `decide` returns and what it looks at. Deciding is pure: nothing here knows storage, clocks or sockets. */
import type { Outcome } from './outcome.ts'
import type { Rejection } from './rejection.ts'
import type { StreamPath } from './stream-path.ts'
import type { StreamEvent, StreamState } from './stream-state.ts'

/** The entities a command may look at, each in its decided state; expiry is judged by the rules, not here. */
export interface View {
  stream(path: StreamPath): StreamState | undefined
}

/** The events of one entity in one commit, with the payload bytes the last `appended` event speaks of. */
export interface Change {
  readonly path: StreamPath
  readonly events: readonly StreamEvent[]
  readonly payload: Uint8Array | undefined
}

/** Accept: commit all changes together, then answer. Repeat: an earlier command did it. Reject: nothing changed. */
export type Decision =
  | { readonly kind: 'accept'; readonly changes: readonly Change[]; readonly outcome: Outcome }
  | { readonly kind: 'repeat'; readonly outcome: Outcome }
  | { readonly kind: 'reject'; readonly rejection: Rejection }
  /** What was prepared for the command (a fork point, the purge of an expired stream) no longer holds: prepare again. */
  | { readonly kind: 'stale' }

/** Choices of the deployment that the rules depend on. */
export interface Rules {
  /** How long a producer is remembered without use; `undefined`: as long as the stream. */
  readonly producerIdleMs: number | undefined
  /** What is appended now is of this generation at least. */
  readonly generation: number
  /** Bytes of its own that a stream may hold; no limit unless given. What a fork inherits is its source's. */
  readonly maxStreamBytes?: number
  /** Producers remembered per stream; the protocol's own bound unless given. */
  readonly maxProducers?: number
}

export function reject(rejection: Rejection): Decision {
  return { kind: 'reject', rejection }
}
