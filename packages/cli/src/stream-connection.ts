/** Requests of one command: with credentials, and with patience for a server that goes away in the middle. */
import { type BackoffOptions, DurableStream, type DurableStreamOptions } from '@millrace/client'
import { Unreachable } from './stream-failure.ts'
import type { StreamTarget } from './stream-target.ts'

/** How long a connection waits for a server that has gone away. */
export interface Patience {
  /** Tries again for ever, as is right for following live; otherwise for about half a minute. */
  readonly isEndless: boolean
  /** Told once when the server stops to answer. */
  readonly onLost: () => void
}

/** With the growing waits below, half a minute. */
const RETRIES = 40
const FIRST_WAIT_MS = 100
const LONGEST_WAIT_MS = 2000

/**
 * Makes the requests of one command. A server that does not answer the very first one is not waited for: most likely
 * none is running, or the URL is wrong.
 */
export class StreamConnection {
  readonly target: StreamTarget
  /** Options of a handle, or of a read, that goes over this connection. */
  readonly options: DurableStreamOptions & {
    readonly fetch: typeof fetch
    readonly backoffOptions: BackoffOptions
  }
  readonly #onLost: () => void
  #lastStatus = 0
  #failure: Unreachable | undefined
  #isLost = false

  constructor(target: StreamTarget, { isEndless, onLost }: Patience, signal: AbortSignal) {
    this.target = target
    this.#onLost = onLost
    this.options = {
      url: target.url,
      ...(target.auth !== undefined && { headers: { authorization: target.auth } }),
      signal,
      fetch: (input, init) => this.#fetch(input, init),
      backoffOptions: {
        initialDelay: FIRST_WAIT_MS,
        maxDelay: LONGEST_WAIT_MS,
        maxRetries: isEndless ? Number.POSITIVE_INFINITY : RETRIES,
        onFailedAttempt: () => this.#noteFailure(),
      },
    }
  }

  /** A handle on the stream. */
  handle(): DurableStream {
    return new DurableStream(this.options)
  }

  /** A handle whose operations Ctrl-C does not end: what it has taken, it delivers. */
  lastingHandle(): DurableStream {
    return new DurableStream({ ...this.options, signal: undefined })
  }

  /** Status of the last answer; 0 before the first. */
  get lastStatus(): number {
    return this.#lastStatus
  }

  async #fetch(...[input, init]: Parameters<typeof fetch>): Promise<Response> {
    try {
      const response = await fetch(input, init)
      this.#lastStatus = response.status
      if (response.ok) this.#isLost = false
      return response
    } catch (error) {
      if (init?.signal?.aborted === true) throw error
      this.#failure = new Unreachable(error)
      throw this.#failure
    }
  }

  #noteFailure(): void {
    if (this.#lastStatus === 0 && this.#failure !== undefined) throw this.#failure
    if (this.#isLost || (this.#lastStatus >= 400 && this.#lastStatus < 500 && this.#lastStatus !== 429))
      return
    this.#isLost = true
    this.#onLost()
  }
}
