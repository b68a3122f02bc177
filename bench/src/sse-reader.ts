/**
 * A live reader by SSE that behaves like a real client: when the server ends a response it goes on from
 * the last offset it was given, over the same connection when that is still open.
 */
import { type ExchangeSink, HttpConnection, type Origin } from './http-connection.ts'
import type { ResponseHead } from './http-response-parser.ts'
import { SseDecoder, type SseListener } from './sse-decoder.ts'
import { requestHead } from './stream-client.ts'

export interface SseReaderListener {
  /** The payload of one data event, as text with one character a byte. */
  onData(data: string): void
  /** The server refused, broke the protocol, or kept dropping the connection. */
  onFailure(reason: string): void
}

const RETRY_DELAY_MS = 100
const MAX_DROPS = 20

const OFFSET_GRAMMAR = /"streamNextOffset" *: *"([^"\\]+)"/

/** The offset in the data of a control event, a flat JSON object. */
function parseOffset(controlData: string): string | undefined {
  return OFFSET_GRAMMAR.exec(controlData)?.[1]
}

export class SseReader implements ExchangeSink, SseListener {
  /** Responses that the server ended properly and that were followed by another request. */
  reconnects = 0
  /** Responses that broke off. */
  drops = 0
  readonly #connection: HttpConnection
  readonly #path: string
  readonly #listener: SseReaderListener
  readonly #ready: Promise<void>
  #markReady: () => void = () => {}
  #decoder: SseDecoder
  #offset: string
  /** The last control event, read only when its offset is needed: there is one with every message. */
  #control: string | undefined
  #status = 0
  #stopped = false
  #retry: NodeJS.Timeout | undefined

  constructor(origin: Origin, path: string, offset: string, listener: SseReaderListener) {
    this.#connection = new HttpConnection(origin)
    this.#path = path
    this.#offset = offset
    this.#listener = listener
    this.#decoder = new SseDecoder(this)
    this.#ready = new Promise((resolve) => {
      this.#markReady = resolve
    })
  }

  /** Connects; resolves when the first event or comment has arrived. */
  start(): Promise<void> {
    this.#request()
    return this.#ready
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#retry)
    this.#connection.abort()
  }

  get socketsOpened(): number {
    return this.#connection.opens
  }

  onHead(head: ResponseHead): void {
    this.#status = head.status
  }

  onBody(bytes: Buffer): void {
    if (this.#status === 200) this.#decoder.feed(bytes.toString('latin1'))
  }

  onEvent(type: string, data: string): void {
    if (type === 'data') {
      this.#listener.onData(data)
    } else if (type === 'control') {
      this.#control = data
    }
    this.#markReady()
  }

  onComment(): void {
    this.#markReady()
  }

  onEnd(): void {
    if (this.#status !== 200) {
      this.#fail(`an SSE request was answered ${this.#status}`)
      return
    }
    this.reconnects += 1
    this.#request()
  }

  onFailure(error: Error): void {
    this.drops += 1
    if (this.drops > MAX_DROPS) this.#fail(`${MAX_DROPS} broken responses, the last: ${error.message}`)
    else this.#retry = setTimeout(() => this.#request(), RETRY_DELAY_MS)
  }

  #request(): void {
    if (this.#stopped) return
    if (this.#control !== undefined) {
      const offset = parseOffset(this.#control)
      if (offset === undefined) {
        this.#fail(`a control event without an offset: ${this.#control}`)
        return
      }
      this.#offset = offset
      this.#control = undefined
    }
    this.#decoder = new SseDecoder(this)
    const query = `${this.#path}?offset=${this.#offset}&live=sse`
    this.#connection.send(
      requestHead(this.#connection.origin, 'GET', query, { Accept: 'text/event-stream' }),
      this,
    )
  }

  #fail(reason: string): void {
    this.stop()
    this.#markReady()
    this.#listener.onFailure(reason)
  }
}

/** Starts readers a few at a time; resolves when all have heard from the server. */
export async function startReaders(readers: readonly SseReader[]): Promise<void> {
  const waiting = readers.values()
  const lane = async (): Promise<void> => {
    for (const reader of waiting) await reader.start()
  }
  await Promise.all(Array.from({ length: 16 }, lane))
}
