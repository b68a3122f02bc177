/** One reading session: hands pages over one by one, fetches one ahead, and ends exactly once. */
import type { LinkedSignal } from './linked-signal.ts'
import type { Position } from './page-headers.ts'
import { type Page, PageSource, type SessionStart } from './page-source.ts'

/** The HTTP answer that a session last showed. */
export interface Shown {
  readonly position: Position
  readonly response: Response
}

/** Pages in order, a position that follows them, and one end. */
export class Session {
  readonly #link: LinkedSignal
  readonly #source: PageSource
  readonly #closed: Promise<void>
  #resolveClosed: () => void = () => undefined
  #rejectClosed: (error: unknown) => void = () => undefined
  #hasEnded = false
  #ahead: Promise<Page | undefined> | undefined
  #onAborted: (() => void) | undefined
  #shown: Shown

  /** The session owns `link` from here on and releases it at its end. */
  constructor(start: SessionStart, position: Position, link: LinkedSignal) {
    this.#link = link
    this.#source = new PageSource(start, link.signal)
    this.#shown = { position, response: start.response }
    this.#closed = new Promise((resolve, reject) => {
      this.#resolveClosed = resolve
      this.#rejectClosed = reject
    })
    // A failure that nobody asks about must not end the process.
    this.#closed.catch(() => undefined)
    if (link.signal.aborted) this.#afterAbort()
    else link.signal.addEventListener('abort', () => this.#afterAbort(), { once: true })
  }

  /** Resolves at the end of the session, rejects with what it failed with. */
  get closed(): Promise<void> {
    return this.#closed
  }

  /** What was handed over last. */
  get shown(): Shown {
    return this.#shown
  }

  /** Whether the session was cancelled, by the caller or by its signal. */
  get isAborted(): boolean {
    return this.#link.signal.aborted
  }

  /** Why. */
  get abortReason(): unknown {
    return this.#link.signal.reason
  }

  /** To be called once, before the first page is taken. */
  open(collect: boolean): void {
    this.#source.open(collect)
  }

  /**
   * The next page, and the one after it is asked for. Undefined at the end, and at once when the session is cancelled.
   */
  async take(): Promise<Page | undefined> {
    const page = await this.#untilAborted(this.#ahead ?? this.#source.next())
    if (page === undefined || this.isAborted) return undefined
    if (!page.isLast) {
      this.#ahead = this.#source.next()
      // It counts when it is taken.
      this.#ahead.catch(() => undefined)
    }
    return page
  }

  /** Moves what the session shows to a page: call it when the page is handed over. */
  show({ position, response }: Page): void {
    this.#shown = { position, response: response ?? this.#shown.response }
  }

  /** Everything was handed over. */
  finish(): void {
    if (!this.#end()) return
    this.#resolveClosed()
  }

  /** Ends the session with an error. False if it had ended already. */
  fail(error: unknown): boolean {
    if (!this.#end()) return false
    this.#rejectClosed(error)
    this.#link.abort(error)
    return true
  }

  /** Ends the session early, without an error. */
  cancel(reason?: unknown): void {
    if (!this.#hasEnded) this.#link.abort(reason)
  }

  #afterAbort(): void {
    this.#onAborted?.()
    this.finish()
  }

  #end(): boolean {
    if (this.#hasEnded) return false
    this.#hasEnded = true
    this.#link.release()
    this.#source.close()
    return true
  }

  /** Without `Promise.race`, which would keep a reaction for every page of a long session. */
  #untilAborted(next: Promise<Page | undefined>): Promise<Page | undefined> {
    return new Promise((resolve, reject) => {
      this.#onAborted = () => resolve(undefined)
      next.then(resolve, reject)
    })
  }
}
