/** Writes messages to a stream exactly once: gathers them into batches and answers for what became of them. */
import { isJsonType, toWireMessage, type WireMessage, wireSize } from './append-body.ts'
import type { DurableStream } from './durable-stream.ts'
import { DurableStreamError } from './errors.ts'
import { type CloseResult, optionsOfHandle } from './handle-options.ts'
import { type LinkedSignal, linkSignals } from './linked-signal.ts'
import type { Offset } from './options.ts'
import { OpenBatch, type SealedBatch } from './producer-batch.ts'
import { checkProducer, type IdempotentProducerOptions, type ProducerLimits } from './producer-options.ts'
import { ProducerPipeline } from './producer-pipeline.ts'
import type { ProducerFailure } from './producer-state.ts'
import { checkSignal, mergeRecords, toEndpoint } from './request.ts'
import { joinReports, type UndeliveredMessages, undeliveredError } from './undelivered.ts'

/** The fallback where nobody knows the content type of the stream. */
const DEFAULT_CONTENT_TYPE = 'application/octet-stream'

/** All batches given up since the last flush. */
interface Loss {
  readonly failure: ProducerFailure
  readonly lastOrdinal: number
  readonly messages: UndeliveredMessages
}

type Status = 'open' | 'closing' | 'closed' | 'detached' | 'aborted'

/**
 * A writer whose messages are stored once each and in the order of `append`, through lost requests and answers, server
 * restarts and failover: batches are sent several at a time, numbered, and repeated under their number until they are
 * confirmed. What can't be delivered is reported by `flush`, `close` and `onError`, never dropped in silence.
 *
 * Order holds within one producer, not between several. A batch is stored whole or not at all. After a message has been
 * given up, all later ones are given up, too, until `restart`.
 */
export class IdempotentProducer {
  readonly #stream: DurableStream
  readonly #producerId: string
  readonly #limits: ProducerLimits
  readonly #autoClaim: boolean
  readonly #onError: ((error: Error) => void) | undefined
  readonly #pipeline: ProducerPipeline
  readonly #link: LinkedSignal
  #status: Status = 'open'
  #batch: OpenBatch | undefined
  #linger: ReturnType<typeof setTimeout> | undefined
  #messageCount = 0
  #loss: Loss | undefined
  /** Losses of batches below were reported by a flush. */
  #flushedThrough = 0
  #room: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined
  #closing: Promise<CloseResult> | undefined
  #closeResult: CloseResult | undefined
  #finalMessage: WireMessage | undefined
  #closeOrdinal: number | undefined
  #warnsOnDuplicates: boolean

  /**
   * Takes no network. The handle's URL, headers, params, `fetch`, signal and back-off hold for the producer, too; its
   * content type decides whether messages are JSON. Throws `BAD_REQUEST` for options that can't work.
   */
  constructor(stream: DurableStream, producerId: string, options: IdempotentProducerOptions = {}) {
    const handle = optionsOfHandle(stream)
    this.#limits = checkProducer(producerId, options)
    checkSignal(options.signal)
    this.#stream = stream
    this.#producerId = producerId
    this.#autoClaim = options.autoClaim ?? false
    this.#warnsOnDuplicates = options.warnOnDuplicates ?? true
    this.#onError = options.onError
    const endpoint = toEndpoint({
      ...handle,
      headers: mergeRecords(true, handle.headers, options.headers),
      fetch: options.fetch ?? handle.fetch,
    })
    const { epoch, maxInFlight, requestTimeoutMs } = this.#limits
    const { maxRetries } = endpoint.backoff
    const rules = { epoch, autoClaim: this.#autoClaim, maxInFlight, maxRetries }
    this.#pipeline = new ProducerPipeline(
      { endpoint, producerId, rules, requestTimeoutMs },
      {
        settled: () => this.#makeRoom(),
        undelivered: (ordinal, failure, messages) => this.#lose(ordinal, failure, messages),
        suspicious: () => this.#warn(),
      },
    )
    this.#link = linkSignals(options.signal, handle.signal)
    if (this.#link.signal.aborted) this.#abort()
    else this.#link.signal.addEventListener('abort', () => this.#abort())
  }

  /** The present epoch; grows when it is claimed or the producer restarted. */
  get epoch(): number {
    return this.#pipeline.epoch
  }

  /** Number that the next batch gets within its epoch. */
  get nextSeq(): number {
    return this.#pipeline.nextSeq
  }

  /** Messages in the open batch, which is not sent yet. */
  get pendingCount(): number {
    return this.#batch?.count ?? 0
  }

  /** Batches that are sealed and neither stored nor given up. */
  get inFlightCount(): number {
    return this.#pipeline.unsettledCount
  }

  /** Bytes of messages that are neither stored nor given up. */
  get bufferedBytes(): number {
    return this.#pipeline.bufferedBytes + (this.#batch?.sizeBytes ?? 0)
  }

  /** Batches that the server had already: answers that were lost, or a job done again. */
  get duplicateCount(): number {
    return this.#pipeline.duplicates
  }

  /** Offset after the last batch stored; undefined before the first. A batch that was a duplicate does not move it. */
  get lastSuccessfulOffset(): Offset | undefined {
    return this.#pipeline.lastOffset
  }

  /**
   * Takes a message and returns at once; it is sent with others within `lingerMs`. On a JSON stream any JSON value is a
   * message, and a string or bytes are JSON text already: a string value is `JSON.stringify('text')`.
   *
   * Returns false when much is waiting: the message is taken all the same, and `await producer.ready` waits until there
   * is room. Throws `BUFFER_FULL` beyond `maxBufferedBytes`, `BAD_REQUEST` for what the stream can't hold, and
   * `ALREADY_CLOSED` after `close`, `detach` or an abort; a message for which it throws is not taken.
   */
  append(body: unknown): boolean {
    if (this.#status !== 'open') throw this.#ended()
    const contentType = this.#stream.contentType ?? DEFAULT_CONTENT_TYPE
    let batch = this.#batch
    const isJson = batch?.contentType === contentType ? batch.isJson : isJsonType(contentType)
    const message = toWireMessage(body, isJson)
    if (message.length === 0)
      throw new DurableStreamError('An empty message can not be appended', 'BAD_REQUEST')
    const sizeBytes = wireSize(message)
    const bufferedBytes = this.bufferedBytes + sizeBytes
    if (bufferedBytes > this.#limits.maxBufferedBytes) throw bufferFull(this.#limits.maxBufferedBytes)
    if (batch !== undefined && batch.contentType !== contentType) this.#seal()
    batch = this.#batch ?? this.#openBatch(contentType, isJson)
    batch.add(message, sizeBytes)
    this.#messageCount++
    if (batch.sizeBytes >= this.#limits.maxBatchBytes) this.#seal()
    return bufferedBytes <= this.#limits.maxBufferedBytes / 2
  }

  /** Resolves when there is room for more: at once unless `append` has just returned false. Never rejects. */
  get ready(): Promise<void> {
    if (this.#hasRoom()) return Promise.resolve()
    if (this.#room === undefined) {
      let resolve = (): void => undefined
      const promise = new Promise<void>((done) => {
        resolve = done
      })
      this.#room = { promise, resolve }
    }
    return this.#room.promise
  }

  /**
   * Sends what is waiting, and resolves when every message appended so far is stored. Rejects, when all of them are
   * settled, with the first error since the last flush; `undeliveredMessages(error)` names all messages lost since then.
   * With the default back-off it waits for an unreachable server as long as it takes.
   */
  async flush(): Promise<void> {
    const from = this.#flushedThrough
    this.#seal()
    const through = this.#pipeline.nextOrdinal
    await this.#pipeline.settle()
    const loss = this.#loss
    this.#flushedThrough = Math.max(this.#flushedThrough, through)
    if (loss !== undefined && loss.lastOrdinal >= from) throw undeliveredError(loss.failure, loss.messages)
  }

  /**
   * Flushes, then closes the stream for everyone, with a last message if there is one: both happen or neither. Repeated
   * and concurrent calls get the same result. After a rejection it can be called again and tries again, with the
   * message of the first call. Rejects, and leaves the stream open, when messages could not be delivered.
   */
  close(finalMessage?: unknown): Promise<CloseResult> {
    if (this.#closeResult !== undefined) return Promise.resolve(this.#closeResult)
    if (this.#closing !== undefined) return this.#closing
    if (this.#status === 'detached' || this.#status === 'aborted') return Promise.reject(this.#ended())
    if (this.#status === 'open') {
      try {
        this.#finalMessage = this.#toFinalMessage(finalMessage)
      } catch (error) {
        return Promise.reject(error)
      }
    }
    this.#status = 'closing'
    this.#closing = this.#close().finally(() => {
      this.#closing = undefined
    })
    return this.#closing
  }

  /**
   * Ends the producer and leaves the stream open: refuses further messages and flushes. Never rejects; what could not be
   * delivered went to `onError`, so flush first where there is none.
   */
  async detach(): Promise<void> {
    if (this.#status === 'open') this.#status = 'detached'
    this.#seal()
    await this.#pipeline.settle()
    this.#link.release()
  }

  /**
   * Waits until everything is settled and begins a new epoch, which takes the id over from whoever holds it. The way on
   * after an error that ended delivery; messages that were given up are not sent again, and stay in the error that the
   * next `flush` throws if none has named them yet. Rejects with `ALREADY_CLOSED` when the producer has ended.
   */
  async restart(): Promise<void> {
    do {
      if (this.#closing !== undefined || (this.#status !== 'open' && this.#status !== 'closing')) {
        throw this.#ended()
      }
      this.#seal()
      await this.#pipeline.settle()
    } while (this.pendingCount > 0 || this.inFlightCount > 0)
    this.#status = 'open'
    this.#pipeline.restart()
  }

  async #close(): Promise<CloseResult> {
    await this.flush()
    const ordinal = this.#closeOrdinal
    const isRepeat = this.#pipeline.isFailed && ordinal === this.#pipeline.nextOrdinal - 1
    const batch = this.#closingBatch()
    if (isRepeat) {
      // The loss of this batch was reported, and is open again.
      this.#flushedThrough = ordinal
      this.#loss = undefined
      this.#pipeline.resume(batch)
    } else {
      this.#closeOrdinal = this.#pipeline.nextOrdinal
      this.#pipeline.send(batch)
    }
    await this.flush()
    this.#status = 'closed'
    this.#closeResult = { finalOffset: this.#pipeline.closeOffset }
    this.#link.release()
    return this.#closeResult
  }

  #closingBatch(): SealedBatch {
    const contentType = this.#stream.contentType ?? DEFAULT_CONTENT_TYPE
    const batch = new OpenBatch(contentType, isJsonType(contentType))
    if (this.#finalMessage !== undefined) batch.add(this.#finalMessage, wireSize(this.#finalMessage))
    return batch.seal(this.#messageCount, true)
  }

  #toFinalMessage(body: unknown): WireMessage | undefined {
    if (body === undefined || body === '') return undefined
    return toWireMessage(body, isJsonType(this.#stream.contentType))
  }

  #openBatch(contentType: string, isJson: boolean): OpenBatch {
    this.#batch = new OpenBatch(contentType, isJson)
    this.#linger = setTimeout(() => this.#seal(), this.#limits.lingerMs)
    return this.#batch
  }

  #seal(): void {
    const batch = this.#takeBatch()
    if (batch !== undefined) this.#pipeline.send(batch)
  }

  #takeBatch(): SealedBatch | undefined {
    clearTimeout(this.#linger)
    const batch = this.#batch
    this.#batch = undefined
    return batch?.seal(this.#messageCount - batch.count, false)
  }

  #hasRoom(): boolean {
    return this.bufferedBytes <= this.#limits.maxBufferedBytes / 2
  }

  #makeRoom(): void {
    if (this.#room === undefined || !this.#hasRoom()) return
    this.#room.resolve()
    this.#room = undefined
  }

  #lose(ordinal: number, failure: ProducerFailure, messages: UndeliveredMessages): void {
    this.#loss = this.#added(this.#loss, { failure, lastOrdinal: ordinal, messages })
    // An abort is one event, not one for each batch.
    if (this.#status !== 'aborted') this.#report(undeliveredError(failure, messages))
  }

  /** A loss that no flush has reported yet grows; the first failure stands for all. */
  #added(known: Loss | undefined, more: Loss): Loss {
    if (known === undefined || known.lastOrdinal < this.#flushedThrough) return more
    return { ...more, failure: known.failure, messages: joinReports(known.messages, more.messages) }
  }

  #report(error: Error): void {
    try {
      this.#onError?.(error)
    } catch (thrown) {
      console.error(`The onError handler of producer ${this.#producerId} failed`, thrown)
    }
  }

  #warn(): void {
    if (!this.#warnsOnDuplicates) return
    this.#warnsOnDuplicates = false
    console.warn(
      `The server had stored batches of producer ${this.#producerId} in epoch ${this.epoch} before this producer ` +
        'sent them: they count as duplicates and their messages are not stored again. If they are new messages, set ' +
        'autoClaim: true, or pass a higher epoch at each start',
    )
  }

  #abort(): void {
    if (this.#status === 'closed' || this.#status === 'aborted') return
    this.#status = 'aborted'
    this.#link.release()
    const before = this.#loss
    this.#loss = undefined
    const pending = this.#takeBatch()
    this.#pipeline.abort(new DurableStreamError('The producer was aborted', 'ALREADY_CLOSED'))
    if (pending !== undefined) this.#pipeline.send(pending)
    const loss = this.#presentLoss()
    this.#loss = loss === undefined ? before : this.#added(before, loss)
    if (loss !== undefined) this.#report(undeliveredError(loss.failure, loss.messages))
  }

  #presentLoss(): Loss | undefined {
    return this.#loss
  }

  #ended(): DurableStreamError {
    const how = this.#status === 'open' ? 'ended' : this.#status
    return new DurableStreamError(`The producer is ${how}: make a new one to write more`, 'ALREADY_CLOSED')
  }
}

function bufferFull(maxBufferedBytes: number): DurableStreamError {
  return new DurableStreamError(
    `More than ${maxBufferedBytes} bytes of messages wait to be stored: await producer.ready when append returns ` +
      'false, or raise maxBufferedBytes',
    'BUFFER_FULL',
  )
}
