/** What a write came to; `respond.ts` turns it into status and headers. */
import type { Rejection } from './rejection.ts'
import type { StreamPath } from './stream-path.ts'

/** The producer state an answer reports: epoch, and the highest accepted seq in it. */
export interface ProducerReport {
  readonly epoch: number
  readonly seq: number
}

/** The result of one command. `duplicate` and `exists` changed nothing and succeed all the same. */
export type Outcome =
  | {
      readonly kind: 'created' | 'exists'
      readonly path: StreamPath
      readonly contentType: string
      readonly tail: number
      /** Of the offset at the tail. */
      readonly generation: number
      readonly closed: boolean
    }
  | {
      /** `appended` stored bytes; `closed` is a close-only request, first or repeated. */
      readonly kind: 'appended' | 'closed' | 'duplicate'
      readonly tail: number
      /** Of the offset at the tail. */
      readonly generation: number
      readonly closed: boolean
      readonly producer: ProducerReport | undefined
    }
  | { readonly kind: 'deleted' }
  | { readonly kind: 'rejected'; readonly rejection: Rejection }
