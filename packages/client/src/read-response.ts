/** The response object: guards that it is consumed once, and shows where the session is. */
import { DurableStreamError } from './errors.ts'
import type { ReadableStreamAsyncIterable } from './iterable-stream.ts'
import type { LiveMode, Offset, Untyped } from './options.ts'
import { joinBytes, PageDecoder, toBytes, toItems } from './page-content.ts'
import { collectPages, itemStream, pageStream } from './page-readers.ts'
import type { Page } from './page-source.ts'
import { subscribe } from './page-subscriber.ts'
import type { ByteChunk, JsonBatch, TextChunk } from './read-options.ts'
import { badRequest } from './request.ts'
import type { Session } from './session.ts'
import type { StreamResponse } from './stream-response.ts'

/** What does not change during a session. */
export interface SessionFacts {
  readonly url: string
  readonly contentType: string | undefined
  readonly live: LiveMode
  readonly startOffset: Offset
  readonly isJson: boolean
  readonly hasErrorHandler: boolean
}

/** Its methods can be taken off it. */
export class ReadResponse implements StreamResponse<Untyped> {
  readonly #session: Session
  readonly #facts: SessionFacts
  #consumedBy: string | undefined
  #isWatched: boolean

  constructor(session: Session, facts: SessionFacts) {
    this.#session = session
    this.#facts = facts
    this.#isWatched = facts.hasErrorHandler
  }

  get url(): string {
    return this.#facts.url
  }
  get contentType(): string | undefined {
    return this.#facts.contentType
  }
  get live(): LiveMode {
    return this.#facts.live
  }
  get startOffset(): Offset {
    return this.#facts.startOffset
  }
  get headers(): Headers {
    return this.#session.shown.response.headers
  }
  get status(): number {
    return this.#session.shown.response.status
  }
  get statusText(): string {
    return this.#session.shown.response.statusText
  }
  get ok(): boolean {
    return this.#session.shown.response.ok
  }
  get isLoading(): boolean {
    return false
  }
  get offset(): Offset {
    return this.#session.shown.position.offset
  }
  get cursor(): string | undefined {
    return this.#session.shown.position.cursor
  }
  get upToDate(): boolean {
    return this.#session.shown.position.upToDate
  }
  get streamClosed(): boolean {
    return this.#session.shown.position.streamClosed
  }
  get closed(): Promise<void> {
    this.#isWatched = true
    return this.#session.closed
  }

  readonly cancel = (reason?: unknown): void => this.#session.cancel(reason)

  readonly json = async <T = Untyped>(): Promise<T[]> => {
    this.#requireJson('json')
    this.#consume('json')
    const pages = await collectPages(this.#session, itemsOf<T>)
    return joinItems(pages)
  }

  readonly text = async (): Promise<string> => {
    this.#consume('text')
    const pages = await collectPages(this.#session, this.#textOf())
    return pages.join('')
  }

  readonly body = async (): Promise<Uint8Array> => {
    this.#consume('body')
    return joinBytes(await collectPages(this.#session, bytesOf))
  }

  readonly jsonStream = (): ReadableStreamAsyncIterable<Untyped> => {
    this.#requireJson('jsonStream')
    this.#consume('jsonStream')
    return itemStream(this.#session, itemsOf)
  }

  readonly textStream = (): ReadableStreamAsyncIterable<string> => {
    this.#consume('textStream')
    return pageStream(this.#session, this.#textOf())
  }

  readonly bodyStream = (): ReadableStreamAsyncIterable<Uint8Array> => {
    this.#consume('bodyStream')
    return pageStream(this.#session, bytesOf)
  }

  readonly subscribeJson = <T = Untyped>(
    subscriber: (batch: JsonBatch<T>) => void | Promise<void>,
  ): (() => void) => {
    this.#requireJson('subscribeJson')
    return this.#subscribe('subscribeJson', subscriber, (page) => ({
      items: itemsOf<T>(page),
      ...metaOf(page),
    }))
  }

  readonly subscribeBytes = (subscriber: (chunk: ByteChunk) => void | Promise<void>): (() => void) =>
    this.#subscribe('subscribeBytes', subscriber, (page) => ({ data: bytesOf(page), ...metaOf(page) }))

  readonly subscribeText = (subscriber: (chunk: TextChunk) => void | Promise<void>): (() => void) => {
    const textOf = this.#textOf()
    return this.#subscribe('subscribeText', subscriber, (page) => ({ text: textOf(page), ...metaOf(page) }))
  }

  #subscribe<B>(
    method: string,
    subscriber: (batch: B) => void | Promise<void>,
    toBatch: (page: Page) => B,
  ): () => void {
    if (typeof subscriber !== 'function') throw badRequest(`${method} needs a function to call`)
    this.#consume(method)
    return subscribe(this.#session, toBatch, subscriber, (error, isOnClosed) => {
      if (!isOnClosed || !this.#isWatched) this.#report(error)
    })
  }

  /** For a failure that nobody would see: neither at `closed` nor in an error handler. */
  #report(error: unknown): void {
    console.error(`Reading ${this.url} has failed; handle it with response.closed`, error)
  }

  #textOf(): (page: Page) => string {
    const decoder = new PageDecoder()
    return ({ content, isLast }) => decoder.decode(content, isLast)
  }

  #requireJson(method: string): void {
    if (this.#facts.isJson) return
    const type = this.contentType ?? 'no content type'
    throw badRequest(
      `${method}() needs a JSON stream, this one has ${type}: use text() or body(), or pass json: true`,
    )
  }

  #consume(method: string): void {
    if (this.#consumedBy !== undefined) {
      const message = `${method}() can't read this response: ${this.#consumedBy}() has read it already. Call stream() again`
      throw new DurableStreamError(message, 'ALREADY_CONSUMED')
    }
    this.#consumedBy = method
    this.#session.open(['json', 'text', 'body'].includes(method))
  }
}

function itemsOf<T>({ content }: Page): readonly T[] {
  return toItems(content) as readonly T[]
}

function bytesOf({ content }: Page): Uint8Array {
  return toBytes(content)
}

function metaOf({ position }: Page): {
  offset: Offset
  upToDate: boolean
  streamClosed: boolean
  cursor?: string
} {
  const { offset, upToDate, streamClosed, cursor } = position
  return { offset, upToDate, streamClosed, ...(cursor !== undefined && { cursor }) }
}

/** The items of a single page are handed on as they were parsed. */
function joinItems<T>(pages: readonly (readonly T[])[]): T[] {
  const [first] = pages
  if (pages.length === 1 && first !== undefined) return first as T[]
  const joined: T[] = []
  for (const items of pages) for (const item of items) joined.push(item)
  return joined
}
