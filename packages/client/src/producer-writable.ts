/** A `WritableStream` in front of an idempotent producer, for `pipeTo`. */
import type { IdempotentProducer } from './idempotent-producer.ts'
import type { HeadersRecord } from './options.ts'

/** How a writable stream writes. */
export interface WritableOptions {
  /** Stable name of the producer (a random one). */
  producerId?: string | undefined
  /** A batch is sent so long after its first chunk, in milliseconds (5). */
  lingerMs?: number | undefined
  /** A batch with so many bytes is sent at once (1 048 576). */
  maxBatchBytes?: number | undefined
  /** Merged over the handle's headers. */
  headers?: HeadersRecord | undefined
  /** Called once for each batch that could not be delivered. */
  onError?: ((error: Error) => void) | undefined
  /** Drops what is not stored; the writable stream fails. */
  signal?: AbortSignal | undefined
}

/** What `open` makes of an error handler: a producer on a handle that knows its content type. */
export type OpenProducer = (onError: (error: Error) => void) => Promise<IdempotentProducer>

/** The producer is opened at the first chunk, so that making the stream takes no network. */
export function writableOver(
  open: OpenProducer,
  onError: ((error: Error) => void) | undefined,
): WritableStream<Uint8Array | string> {
  let opened: Promise<IdempotentProducer> | undefined
  let failure: Error | undefined
  const note = (error: Error): void => {
    failure ??= error
    onError?.(error)
  }
  const producer = (): Promise<IdempotentProducer> => {
    opened ??= open(note)
    return opened
  }
  return new WritableStream({
    async write(chunk) {
      const target = await producer()
      if (failure !== undefined) throw failure
      if (!target.append(chunk)) await target.ready
    },
    async close() {
      const target = await producer()
      await target.close()
    },
    async abort() {
      if (opened !== undefined) await (await opened).detach()
    },
  })
}

/** A name that no other writer has. */
export function randomProducerId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(4))
  return `writable-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')}`
}
