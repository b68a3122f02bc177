/** `for await` over a `ReadableStream` on platforms that lack it. */

/** A stream that can be read with `for await`. */
export type ReadableStreamAsyncIterable<T> = ReadableStream<T> & AsyncIterable<T>

/**
 * The same stream, with an async iterator of its own where the platform gives it none; the platform's is left alone.
 * Leaving a loop early cancels the stream. Use it for streams that come out of `pipeThrough`, too.
 */
export function asAsyncIterableReadableStream<T>(stream: ReadableStream<T>): ReadableStreamAsyncIterable<T> {
  if (!isAsyncIterable(stream)) {
    const iterate = (): AsyncIterator<T> => new StreamIterator(stream.getReader())
    for (const name of [Symbol.asyncIterator, 'values']) {
      Object.defineProperty(stream, name, { value: iterate, configurable: true, writable: true })
    }
  }
  return stream as ReadableStreamAsyncIterable<T>
}

function isAsyncIterable<T>(stream: ReadableStream<T>): boolean {
  return typeof (stream as Partial<AsyncIterable<T>>)[Symbol.asyncIterator] === 'function'
}

class StreamIterator<T> implements AsyncIterableIterator<T> {
  readonly #reader: ReadableStreamDefaultReader<T>
  #pendingReads = 0
  #done = false

  constructor(reader: ReadableStreamDefaultReader<T>) {
    this.#reader = reader
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<T> {
    return this
  }

  async next(): Promise<IteratorResult<T, undefined>> {
    if (this.#done) return { done: true, value: undefined }
    this.#pendingReads++
    try {
      const { done, value } = await this.#reader.read()
      this.#pendingReads--
      if (!done) return { done: false, value }
      this.#release()
      return { done: true, value: undefined }
    } catch (error) {
      this.#pendingReads--
      this.#release()
      throw error
    }
  }

  async return(reason?: unknown): Promise<IteratorResult<T, undefined>> {
    await this.#cancel(reason)
    return { done: true, value: undefined }
  }

  async throw(error?: unknown): Promise<IteratorResult<T, undefined>> {
    await this.#cancel(error)
    throw error
  }

  async #cancel(reason: unknown): Promise<void> {
    if (this.#pendingReads > 0) throw new TypeError('The iterator still has reads under way')
    if (this.#done) return
    const cancelled = this.#reader.cancel(reason)
    this.#release()
    await cancelled
  }

  #release(): void {
    this.#done = true
    if (this.#pendingReads === 0) this.#reader.releaseLock()
  }
}
