/** Whether a stream exists for a client at an instant: expiry is judged here, on every access (section 12.4). */
import type { Rejection } from './rejection.ts'
import { dueAtMs, type StreamState } from './stream-state.ts'

/** Absent: never there, purged, or expired without forks. Gone: only its forks still see it. */
export type Liveness =
  | { readonly kind: 'live'; readonly state: StreamState }
  | { readonly kind: 'absent' }
  | { readonly kind: 'gone' }

const ABSENT: Liveness = { kind: 'absent' }
const GONE: Liveness = { kind: 'gone' }

/** Judges a stream as every operation sees it at `nowMs`. */
export function livenessOf(state: StreamState | undefined, nowMs: number): Liveness {
  if (state === undefined) return ABSENT
  if (state.softDeleted) return GONE
  if (isExpired(state, nowMs)) return state.refCount === 0 ? ABSENT : GONE
  return { kind: 'live', state }
}

/** Whether the deadline has passed; a stream is gone at the very instant of its deadline. */
export function isExpired(state: StreamState, nowMs: number): boolean {
  if (state.expiry.kind === 'never') return false
  const due = dueAtMs(state)
  return due !== undefined && due <= nowMs
}

/** The answer for a stream that is not live. */
export function missing(liveness: { readonly kind: 'absent' | 'gone' }): Rejection {
  return liveness.kind === 'gone' ? { kind: 'gone' } : { kind: 'not-found' }
}
