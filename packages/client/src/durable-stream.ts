/** A handle on one stream: creates, appends, asks, closes, deletes, and opens readers. It holds no connection. */
import { isJsonType, toWireMessage, type WireMessage } from './append-body.ts'
import { AppendQueue, type QueuedAppend } from './append-queue.ts'
import { toByteStream } from './byte-source.ts'
import { STREAM_CLOSED_HEADER, STREAM_OFFSET_HEADER, STREAM_SEQ_HEADER } from './constants.ts'
import { errorOfResponse, FetchBackoffAbortError, MissingStreamUrlError } from './errors.ts'
import {
  type AppendOptions,
  type CloseOptions,
  type CloseResult,
  type CreateOptions,
  type DurableStreamOptions,
  type HeadResult,
  rememberHandle,
} from './handle-options.ts'
import { warnIfUsingHttpInBrowser } from './http-warning.ts'
import { IdempotentProducer } from './idempotent-producer.ts'
import type { Untyped } from './options.ts'
import { randomProducerId, type WritableOptions, writableOver } from './producer-writable.ts'
import type { StreamOptions } from './read-options.ts'
import {
  checkSignal,
  type Endpoint,
  mergeRecords,
  type RequestParts,
  requireSuccess,
  sendOnce,
  toEndpoint,
} from './request.ts'
import { stream } from './stream.ts'
import type { StreamResponse } from './stream-response.ts'
import { appending, creation, headResult, producerHeaders, sendLinked } from './stream-writes.ts'

/**
 * One stream, by its URL. A handle is cheap and keeps no state about the stream but its content type; any number of
 * handles may name the same stream. Failed requests are retried as `backoffOptions` say, `head` excepted.
 */
export class DurableStream {
  /** The stream's URL, as it was given. */
  readonly url: string
  /** Content type of the stream: as given, or as the server last said it. Decides whether messages are JSON. */
  contentType?: string
  readonly #options: DurableStreamOptions
  readonly #endpoint: Endpoint
  readonly #queue: AppendQueue
  /** Appends that wait for their body or, without batching, for their answer. */
  readonly #loose = new Set<Promise<void>>()
  #learning: Promise<string | undefined> | undefined

  /**
   * Takes no network. Throws `MissingStreamUrlError` without a URL, `InvalidSignalError` for a signal that is none, and
   * `BAD_REQUEST` for other options that can't work.
   */
  constructor(options: DurableStreamOptions) {
    if (options?.url === undefined || options.url === '') throw new MissingStreamUrlError()
    checkSignal(options.signal)
    this.#options = options
    this.#endpoint = toEndpoint(options)
    this.url = String(options.url)
    warnIfUsingHttpInBrowser(this.url, options.warnOnHttp)
    if (options.contentType !== undefined) this.contentType = options.contentType
    rememberHandle(this, options)
    this.#queue = new AppendQueue(
      (batch) => this.#post(batch),
      () => new FetchBackoffAbortError(),
    )
  }

  /** Creates the stream, or finds one that is the same, and gives a handle on it. As the method `create`. */
  static async create(options: CreateOptions): Promise<DurableStream> {
    return new DurableStream(options).create(options)
  }

  /** A handle on a stream that exists, with its content type; rejects with `NOT_FOUND` when there is none. */
  static async connect(options: DurableStreamOptions): Promise<DurableStream> {
    const handle = new DurableStream(options)
    const response = await handle.#head(undefined)
    if (response.status === 404) throw await errorOfResponse(response, handle.url, 'HEAD')
    return handle
  }

  /** What the stream says of itself, without keeping a handle. */
  static head(options: DurableStreamOptions): Promise<HeadResult> {
    return new DurableStream(options).head()
  }

  /** Deletes the stream, without keeping a handle. */
  static delete(options: DurableStreamOptions): Promise<void> {
    return new DurableStream(options).delete()
  }

  /**
   * Creates the stream. Resolves, too, when it exists already with the same content type, expiry and closure; rejects
   * with `CONFLICT_EXISTS` when it differs. Headers, params and signal are the handle's.
   */
  async create(
    options: Omit<CreateOptions, keyof DurableStreamOptions> & { contentType?: string | undefined } = {},
  ): Promise<this> {
    const contentType = options.contentType ?? this.contentType
    const response = await this.#create(creation(options, contentType))
    this.#learn(response.headers.get('content-type') ?? contentType)
    return this
  }

  /** What the stream says of itself. One attempt; `exists` is false when there is none. */
  async head(options: { readonly signal?: AbortSignal } = {}): Promise<HeadResult> {
    const response = await this.#head(options.signal)
    return response.status === 404 ? { exists: false } : headResult(response)
  }

  /**
   * Appends one message, and resolves when it is stored. On a JSON stream any JSON value is a message, an array
   * included; a string or bytes are JSON text already, so that a string value is `JSON.stringify('text')`. Other streams
   * take strings and bytes. A promise is awaited first.
   *
   * Messages are stored in the order of the calls. Those appended while a request is under way go out together in the
   * next one: don't await each append when there are many. When a request fails, so do the appends waiting behind it.
   *
   * A request whose answer was lost is made again, which can store the message twice: where that matters, use an
   * `IdempotentProducer`. Rejects with `BAD_REQUEST` for what the stream can't hold, `NOT_FOUND`, `CONFLICT_SEQ`,
   * `StreamClosedError`, or the error of the last attempt.
   */
  append(body: unknown, options: AppendOptions = {}): Promise<void> {
    const contentType = options.contentType ?? this.contentType
    if (contentType !== undefined && !isThenable(body)) {
      try {
        return this.#add(toQueued(body, options, contentType))
      } catch (error) {
        return Promise.reject(error)
      }
    }
    return this.#track(
      (async () => {
        const settled = await body
        const type = options.contentType ?? (await this.#knownType())
        await this.#add(toQueued(settled, options, type))
      })(),
    )
  }

  /**
   * Appends what a source yields, in one request that is as long as the source; no part waits in memory. On a JSON
   * stream all of it together has to be JSON text, and an array is several messages. It is not ordered against `append`
   * and never retried, because a source can be read only once. A failed request ends the source.
   */
  async appendStream(
    source: ReadableStream<Uint8Array | string> | AsyncIterable<Uint8Array | string>,
    options: Pick<AppendOptions, 'seq' | 'contentType' | 'signal'> = {},
  ): Promise<void> {
    const type = options.contentType ?? (await this.#knownType())
    const headers = { 'content-type': type, [STREAM_SEQ_HEADER]: options.seq }
    const parts = { method: 'POST', headers, body: toByteStream(source), duplex: 'half' } as const
    await this.#sendStream(parts, options.signal)
  }

  /**
   * A `WritableStream` over an idempotent producer with `autoClaim`: each chunk is a message, stored once and in order.
   * Closing it closes the stream for everyone; aborting it stores what was written and leaves the stream open. Writing
   * waits while much is on its way, and fails after a batch could not be delivered.
   */
  writable(options: WritableOptions = {}): WritableStream<Uint8Array | string> {
    const { producerId = randomProducerId(), onError, ...rest } = options
    return writableOver(async (note) => {
      await this.#knownType()
      return new IdempotentProducer(this, producerId, { ...rest, autoClaim: true, onError: note })
    }, onError)
  }

  /**
   * Closes the stream for everyone, after everything that was appended through this handle before; with a last message
   * if there is one. Without a message it can be repeated, and gives the same offset. With one, a stream that is closed
   * already rejects with `StreamClosedError`.
   */
  async close(options: CloseOptions = {}): Promise<CloseResult> {
    await this.#settleLoose()
    return this.#queue.run(async () => {
      const type = options.contentType ?? this.contentType ?? (await this.#typeForClose(options.body))
      const message = closingMessage(options.body, type)
      const body = message === undefined || !isJsonType(type) ? message : `[${message}]`
      const headers = { 'content-type': type, [STREAM_CLOSED_HEADER]: 'true' }
      const response = await this.#send({ method: 'POST', headers, body }, options.signal)
      return { finalOffset: response.headers.get(STREAM_OFFSET_HEADER) ?? '' }
    })
  }

  /**
   * Opens a reading session on the stream; see the function `stream`. Headers and params are merged over the handle's;
   * whatever else is left out is the handle's.
   */
  stream<TJson = Untyped>(options: Omit<StreamOptions, 'url'> = {}): Promise<StreamResponse<TJson>> {
    const handle = this.#options
    return stream<TJson>({
      ...options,
      url: handle.url,
      headers: mergeRecords(true, handle.headers, options.headers),
      params: mergeRecords(false, handle.params, options.params),
      signal: options.signal ?? handle.signal,
      fetch: options.fetch ?? handle.fetch,
      backoffOptions: options.backoffOptions ?? handle.backoffOptions,
      onError: options.onError ?? handle.onError,
      warnOnHttp: options.warnOnHttp ?? handle.warnOnHttp,
    })
  }

  /** Deletes the stream, closed or not. Rejects with `NOT_FOUND` when there is none. */
  async delete(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    await this.#send({ method: 'DELETE' }, options.signal)
  }

  #send(parts: RequestParts, signal?: AbortSignal): Promise<Response> {
    return sendLinked(this.#endpoint, parts, [signal, this.#options.signal])
  }

  /** A stream can be read once only, so its request is made once only. */
  async #sendStream(parts: RequestParts, signal?: AbortSignal): Promise<Response> {
    const response = await sendLinked(this.#endpoint, parts, [signal, this.#options.signal], sendOnce)
    return requireSuccess(response, this.#endpoint, parts.method)
  }

  #create(parts: RequestParts): Promise<Response> {
    return parts.duplex === undefined ? this.#send(parts) : this.#sendStream(parts)
  }

  async #head(signal: AbortSignal | undefined): Promise<Response> {
    const response = await sendLinked(
      this.#endpoint,
      { method: 'HEAD' },
      [signal, this.#options.signal],
      sendOnce,
    )
    if (response.status === 404) return response
    await requireSuccess(response, this.#endpoint, 'HEAD')
    this.#learn(response.headers.get('content-type') ?? undefined)
    return response
  }

  #learn(contentType: string | undefined): void {
    if (contentType !== undefined) this.contentType = contentType
  }

  /** Asks the server once when nobody said, with retries: it is the first half of a write. */
  async #knownType(): Promise<string | undefined> {
    if (this.contentType !== undefined) return this.contentType
    this.#learning ??= this.#send({ method: 'HEAD' })
      .then(({ headers }) => this.#learn(headers.get('content-type') ?? undefined))
      .then(() => this.contentType)
      .finally(() => {
        this.#learning = undefined
      })
    return this.#learning
  }

  async #typeForClose(body: unknown): Promise<string | undefined> {
    return body === undefined || body === '' ? undefined : this.#knownType()
  }

  #add(append: QueuedAppend): Promise<void> {
    return this.#options.batching === false ? this.#track(this.#post([append])) : this.#queue.append(append)
  }

  async #post(batch: readonly QueuedAppend[]): Promise<void> {
    const own = batch.length === 1 ? batch[0]?.signal : undefined
    await this.#send(appending(batch), own)
  }

  #track(append: Promise<void>): Promise<void> {
    const settled = append.then(
      () => undefined,
      // The caller has the promise with the error; this one only says that it is over.
      () => undefined,
    )
    this.#loose.add(settled)
    void settled.then(() => this.#loose.delete(settled))
    return append
  }

  async #settleLoose(): Promise<void> {
    await Promise.all(this.#loose)
  }
}

function toQueued(body: unknown, options: AppendOptions, contentType: string | undefined): QueuedAppend {
  const { seq, signal } = options
  const message = toWireMessage(body, isJsonType(contentType))
  return { message, seq, contentType, signal, producer: producerHeaders(options) }
}

function closingMessage(body: unknown, contentType: string | undefined): WireMessage | undefined {
  return body === undefined || body === '' ? undefined : toWireMessage(body, isJsonType(contentType))
}

function isThenable(body: unknown): boolean {
  return typeof body === 'object' && body !== null && 'then' in body && typeof body.then === 'function'
}
