/**
 * Rejections: every way the rules say no, as values. One closed union here, one switch in `problem.ts` that turns
 * it into HTTP. A rejection changed nothing.
 */
import type { Offset } from './offset.ts'

/** Why a request was refused, with what the answer needs to be helpful. */
export type Rejection =
  /** A header, parameter or combination that is not allowed; `detail` says which and what to send instead. */
  | { readonly kind: 'bad-request'; readonly detail: string }
  | { readonly kind: 'invalid-path'; readonly detail: string }
  | { readonly kind: 'invalid-offset'; readonly detail: string }
  | { readonly kind: 'empty-body' }
  | { readonly kind: 'empty-array' }
  | { readonly kind: 'invalid-json'; readonly detail: string }
  | { readonly kind: 'not-found' }
  | { readonly kind: 'route-not-found'; readonly detail: string }
  /** The bytes before the offset are lost; `resumeAt` is the greatest offset below them. */
  | { readonly kind: 'offset-lost'; readonly resumeAt: Offset }
  /** Soft-deleted: removed, but still read by forks. */
  | { readonly kind: 'gone' }
  | { readonly kind: 'method-not-allowed'; readonly allow: string }
  /** PUT on an existing stream with another configuration. */
  | { readonly kind: 'already-exists'; readonly detail: string }
  /** PUT on a soft-deleted stream: the path is held by its forks. */
  | { readonly kind: 'path-blocked' }
  | { readonly kind: 'fork-source-not-found' }
  | { readonly kind: 'fork-from-tombstone' }
  | { readonly kind: 'content-type-mismatch'; readonly expected: string; readonly received: string }
  | { readonly kind: 'stream-closed'; readonly next: Offset }
  | { readonly kind: 'stream-seq-conflict'; readonly last: string }
  | { readonly kind: 'producer-gap'; readonly expected: number; readonly received: number }
  | { readonly kind: 'producer-fenced'; readonly epoch: number }
  | { readonly kind: 'too-many-producers'; readonly limit: number }
  | { readonly kind: 'payload-too-large'; readonly limitBytes: number }
  /** The stream would hold more than it may. */
  | { readonly kind: 'stream-too-large'; readonly limitBytes: number }
  | { readonly kind: 'unsupported-encoding'; readonly encoding: string }
  | { readonly kind: 'origin-refused'; readonly detail: string }
  | { readonly kind: 'host-refused'; readonly detail: string }
  /** Nobody knows who asks: the credentials are missing, or wrong. */
  | { readonly kind: 'unauthenticated'; readonly detail: string; readonly isTokenWrong: boolean }
  /** Whoever asks may not do that, whether the stream exists or not. */
  | { readonly kind: 'forbidden'; readonly detail: string }
  /** One client asks more often than it may. */
  | { readonly kind: 'rate-limited'; readonly retryAfterSeconds: number }
  /** Too much of something at this moment; the same request may succeed later. */
  | { readonly kind: 'busy'; readonly detail: string }
  | { readonly kind: 'no-room'; readonly detail: string }

/** Shorthand for the most common refusal of a request that does not parse. */
export function badRequest(detail: string): Rejection {
  return { kind: 'bad-request', detail }
}
