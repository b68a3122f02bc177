/** One SSE answer while it lasts: bytes in, batches out. */
import { SSE_DATA_ENCODING_HEADER } from './constants.ts'
import { type SseBatch, SseBatcher } from './sse-batch.ts'
import { SseParser } from './sse-parser.ts'

/** What reading on gave: batches, perhaps none yet, or the end; `broken` when the connection did not end cleanly. */
export type SseRead =
  | { readonly kind: 'batches'; readonly batches: readonly SseBatch[] }
  | { readonly kind: 'ended'; readonly batches: readonly SseBatch[]; readonly broken: boolean }

/** Reads an answer chunk by chunk. */
export class SseConnection {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array> | undefined
  readonly #decoder = new TextDecoder()
  readonly #parser = new SseParser()
  readonly #batcher: SseBatcher

  constructor(response: Response) {
    this.#reader = response.body?.getReader()
    this.#batcher = new SseBatcher(response.headers.get(SSE_DATA_ENCODING_HEADER) === 'base64')
  }

  /** Waits for the next chunk. Throws `PARSE_ERROR` for what the server must not send; a lost connection is an end. */
  async read(): Promise<SseRead> {
    let chunk: { readonly done: boolean; readonly value?: Uint8Array | undefined } | undefined
    try {
      chunk = await this.#reader?.read()
    } catch {
      return { kind: 'ended', batches: [], broken: true }
    }
    if (chunk === undefined || chunk.done) return this.#end()
    return { kind: 'batches', batches: this.#take(this.#decoder.decode(chunk.value, { stream: true })) }
  }

  /** Lets go of the connection, whether it has ended or not. */
  cancel(): void {
    // A connection that is lost already has nothing to let go of.
    this.#reader?.cancel().catch(() => undefined)
  }

  #end(): SseRead {
    const batches = this.#take(this.#decoder.decode())
    try {
      const last = this.#parser.end().flatMap((event) => this.#batcher.take(event) ?? [])
      return { kind: 'ended', batches: [...batches, ...last], broken: false }
    } catch {
      // An event that the end cuts off comes again on the next connection.
      return { kind: 'ended', batches, broken: true }
    }
  }

  #take(text: string): readonly SseBatch[] {
    const batches: SseBatch[] = []
    for (const event of this.#parser.push(text)) {
      const batch = this.#batcher.take(event)
      if (batch !== undefined) batches.push(batch)
    }
    return batches
  }
}
