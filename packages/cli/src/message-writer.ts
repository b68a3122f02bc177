/** Appends messages once each and in order, in batches that somebody chose or as they come. */
import { randomUUID } from 'node:crypto'
import { type DurableStream, IdempotentProducer, undeliveredMessages } from '@millrace/client'
import { MOST_MESSAGE_BYTES } from './input-message.ts'
import { usageFailure } from './stream-failure.ts'

/** How messages are gathered into requests. */
export interface WriterOptions {
  /** Known to the server from an earlier run of the same job; undefined for a run of its own. */
  readonly producerId: string | undefined
  /** Messages in each request; undefined for whatever has come together. */
  readonly batch: number | undefined
  /** Told once when a batch could not be delivered. */
  readonly onLost: () => void
}

/** What was appended. */
export interface Appended {
  readonly messages: number
  readonly bytes: number
  /** Requests whose messages had been stored before, by an earlier run or by an attempt whose answer was lost. */
  readonly duplicateBatches: number
  /** Where the stream ends after the last message; undefined when nothing new was stored. */
  readonly offset: string | undefined
}

/** Longer than any run: batches are sent when they are full, never because of the time. */
const NEVER_MS = 2 ** 31 - 1

/** One job of appending. */
export class MessageWriter {
  readonly #producer: IdempotentProducer
  readonly #batch: number | undefined
  #open: Uint8Array[] = []
  #openBytes = 0
  #messages = 0
  #bytes = 0
  #lost = 0
  #mayBeStored = 0
  #failure: unknown

  constructor(handle: DurableStream, { producerId, batch, onLost }: WriterOptions) {
    this.#batch = batch
    this.#producer = new IdempotentProducer(handle, producerId ?? randomUUID(), {
      ...(batch !== undefined && { lingerMs: NEVER_MS, maxBatchBytes: Number.MAX_SAFE_INTEGER }),
      warnOnDuplicates: producerId === undefined,
      onError: (error) => {
        const { count = 0, mayBeStored = 0 } = undeliveredMessages(error) ?? {}
        this.#lost += count
        this.#mayBeStored += mayBeStored
        this.#failure ??= error
        onLost()
      },
    })
  }

  /** Why messages could not be delivered; undefined while all is well. */
  get failure(): unknown {
    return this.#failure
  }

  /** Messages that are certainly stored, and those that may be, once everything has settled. */
  get outcome(): { readonly stored: number; readonly mayBeStored: number } {
    return { stored: this.#messages - this.#lost, mayBeStored: this.#mayBeStored }
  }

  /** Takes a message, and waits while much is on its way. */
  async add(message: Uint8Array): Promise<void> {
    if (this.#batch === undefined) {
      if (!this.#send(message)) await this.#producer.ready
      return
    }
    this.#open.push(message)
    this.#openBytes += message.length
    if (this.#openBytes > MOST_MESSAGE_BYTES) {
      throw usageFailure(
        `${this.#open.length} messages are more than 32 MiB, too much for one request: lower --batch.`,
      )
    }
    if (this.#open.length >= this.#batch) await this.#sendBatch()
  }

  /** Waits until everything is stored. Throws what the server refused it with. */
  async finish(): Promise<Appended> {
    await this.#sendBatch()
    await this.settle()
    if (this.#failure !== undefined) throw this.#failure
    const { duplicateCount: duplicateBatches, lastSuccessfulOffset: offset } = this.#producer
    return { messages: this.#messages, bytes: this.#bytes, duplicateBatches, offset }
  }

  /** Waits until everything in whole batches is stored or given up, and drops what is in none. */
  async settle(): Promise<void> {
    this.#open = []
    await this.#producer.detach()
  }

  async #sendBatch(): Promise<void> {
    if (this.#open.length === 0) return
    const messages = this.#open
    this.#open = []
    this.#openBytes = 0
    let hasRoom = true
    for (const message of messages) hasRoom = this.#send(message)
    // Seals the batch at once; whether it was delivered is what `onError` is told.
    this.#producer.flush().catch(() => undefined)
    if (!hasRoom) await this.#producer.ready
  }

  #send(message: Uint8Array): boolean {
    const hasRoom = this.#producer.append(message)
    this.#messages++
    this.#bytes += message.length
    return hasRoom
  }
}
