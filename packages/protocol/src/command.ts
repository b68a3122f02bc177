/** Commands: what a request asks for once its headers and body are parsed. They carry no state and no time. */
import type { Expiry } from './expiry.ts'
import type { OffsetParts } from './offset.ts'
import type { ProducerStamp } from './producer-table.ts'
import type { StreamPath } from './stream-path.ts'
import type { StreamId } from './stream-state.ts'

/** A body in the form it would be stored in, or what is wrong with it. */
export type Payload =
  | { readonly kind: 'none' }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array; readonly messages: number }
  | { readonly kind: 'empty-array' }
  | { readonly kind: 'invalid-json'; readonly detail: string }

/** POST: append bytes, close, or both. */
export interface AppendCommand {
  readonly kind: 'append'
  readonly path: StreamPath
  /** Media type of the request; `undefined` only when there is no body. */
  readonly mediaType: string | undefined
  readonly payload: Payload
  readonly closes: boolean
  readonly producer: ProducerStamp | undefined
  readonly streamSeq: string | undefined
}

/** Where a fork wants to leave its source. */
export interface ForkRequest {
  readonly sourcePath: StreamPath
  /** `undefined`: at the source's tail. Infinite: a well-formed offset that no stream reaches. */
  readonly forkAt: OffsetParts | undefined
  readonly subOffset: number
}

/** PUT: create a stream, or make sure it exists as described. */
export interface CreateCommand {
  readonly kind: 'create'
  readonly path: StreamPath
  /** The id the stream gets if it is created now. */
  readonly id: StreamId
  /** `undefined`: the default type, or the source's. */
  readonly contentType: string | undefined
  readonly mediaType: string | undefined
  /** `undefined`: none given. */
  readonly expiry: Expiry | undefined
  readonly closed: boolean
  readonly body: Uint8Array
  readonly fork: ForkRequest | undefined
}

/** DELETE by a client, or removal because the stream expired. */
export interface RemoveCommand {
  readonly kind: 'remove'
  readonly path: StreamPath
  readonly because: 'deleted' | 'expired'
}

/** Everything that can change a stream. */
export type Command = AppendCommand | CreateCommand | RemoveCommand
