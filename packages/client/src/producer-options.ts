/** The options of an idempotent producer, and what they are when they are left out. */

import type { HeadersRecord } from './options.ts'
import { badRequest } from './request.ts'

/** How a producer batches, pipelines and recovers. What is left out has the value in brackets. */
export interface IdempotentProducerOptions {
  /** Epoch to begin with (0). A server refuses lower epochs than the highest that it has seen for the id. */
  epoch?: number | undefined
  /**
   * Whether to take over from whoever holds the id (false): when fenced off, and when the server has batches of this id
   * and epoch from before this producer existed, it claims the next epoch and sends everything that is not stored under
   * it. Leave it off for a job that sends the same batches again on purpose, to have them deduplicated.
   */
  autoClaim?: boolean | undefined
  /**
   * Whether to warn on the console when batches turn out to be stored already from before (true). Turn it off in a job
   * that sends the same batches again on purpose; `duplicateCount` tells either way.
   */
  warnOnDuplicates?: boolean | undefined
  /** A batch with so many bytes is sent at once (1 048 576); the last message may go beyond. */
  maxBatchBytes?: number | undefined
  /** A batch is sent so long after its first message, in milliseconds (5). */
  lingerMs?: number | undefined
  /** Batches that may be under way at a time (5). */
  maxInFlight?: number | undefined
  /**
   * Bytes of messages that may wait to be stored (67 108 864). From half of it on `append` returns false; beyond it,
   * `append` throws `BUFFER_FULL`.
   */
  maxBufferedBytes?: number | undefined
  /** A request without an answer for so long is sent again, in milliseconds (60 000). */
  requestTimeoutMs?: number | undefined
  /** Makes the requests instead of the handle's `fetch`. */
  fetch?: typeof globalThis.fetch | undefined
  /** Merged over the handle's headers. */
  headers?: HeadersRecord | undefined
  /** Drops what is not stored and ends the producer. */
  signal?: AbortSignal | undefined
  /**
   * Called once for each batch that could not be delivered; `undeliveredMessages(error)` names its messages. What it
   * throws goes to `console.error`.
   */
  onError?: ((error: Error) => void) | undefined
}

/** The numbers among the options, complete and checked. */
export interface ProducerLimits {
  readonly epoch: number
  readonly maxBatchBytes: number
  readonly lingerMs: number
  readonly maxInFlight: number
  readonly maxBufferedBytes: number
  readonly requestTimeoutMs: number
}

/** Throws `BAD_REQUEST` for an id or a number that no server could accept. */
export function checkProducer(producerId: string, options: IdempotentProducerOptions): ProducerLimits {
  if (typeof producerId !== 'string' || producerId === '') throw badRequest('the producerId is empty')
  return {
    epoch: integer('epoch', options.epoch ?? 0, 0),
    maxBatchBytes: integer('maxBatchBytes', options.maxBatchBytes ?? 1_048_576, 1),
    lingerMs: number('lingerMs', options.lingerMs ?? 5),
    maxInFlight: integer('maxInFlight', options.maxInFlight ?? 5, 1),
    maxBufferedBytes: integer('maxBufferedBytes', options.maxBufferedBytes ?? 67_108_864, 1),
    requestTimeoutMs: integer('requestTimeoutMs', options.requestTimeoutMs ?? 60_000, 1),
  }
}

function integer(name: string, value: number, least: number): number {
  if (Number.isSafeInteger(value) && value >= least) return value
  throw badRequest(`the option ${name} has to be an integer of at least ${least}, not ${value}`)
}

function number(name: string, value: number): number {
  if (Number.isFinite(value) && value >= 0) return value
  throw badRequest(`the option ${name} has to be a number of at least 0, not ${value}`)
}
