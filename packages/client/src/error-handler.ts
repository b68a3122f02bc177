/** After a request has failed for good the caller's handler decides whether the session goes on, and with what. */
import { DurableStreamError } from './errors.ts'
import { sleep, throwIfAborted } from './linked-signal.ts'
import type { RetryOpts, StreamErrorHandler } from './options.ts'
import { type Endpoint, mergeRecords, toEndpoint } from './request.ts'
import { retryDelay } from './retry-delay.ts'

/** A handler that always says "again" is believed this often in a row. */
const MAX_CONSECUTIVE_RETRIES = 50

/** Makes the requests of one session; what the handler returns holds for all that follow. */
export class RecoveringRequests {
  #endpoint: Endpoint
  readonly #onError: StreamErrorHandler | undefined

  constructor(endpoint: Endpoint, onError: StreamErrorHandler | undefined) {
    this.#endpoint = endpoint
    this.#onError = onError
  }

  /** Resolves to what `attempt` does, in the end. An abort is never shown to the handler. */
  async run<T>(signal: AbortSignal, attempt: (endpoint: Endpoint) => Promise<T>): Promise<T> {
    for (let failures = 0; ; failures++) {
      try {
        return await attempt(this.#endpoint)
      } catch (error) {
        if (signal.aborted || this.#onError === undefined || failures >= MAX_CONSECUTIVE_RETRIES) throw error
        const change = await ask(this.#onError, error)
        if (change === undefined) throw error
        this.#endpoint = changed(this.#endpoint, change)
        await sleep(retryDelay(this.#endpoint.backoff, failures, Math.random(), 0), signal)
        throwIfAborted(signal)
      }
    }
  }
}

async function ask(onError: StreamErrorHandler, failure: unknown): Promise<RetryOpts | undefined> {
  const error = failure instanceof Error ? failure : new Error(String(failure))
  const answer: unknown = await onError(error)
  if (typeof answer === 'object' && answer !== null) return answer
  if (answer === undefined) return undefined
  const message =
    `onError returned ${String(answer)}: return an object to try again or nothing to stop. ` +
    `It was asked about: ${error.message}`
  throw new DurableStreamError(message, 'BAD_REQUEST', undefined, error)
}

function changed(endpoint: Endpoint, { headers, params }: RetryOpts): Endpoint {
  const { url, fetch, backoff } = endpoint
  return toEndpoint({
    url,
    fetch,
    backoffOptions: backoff,
    headers: mergeRecords(true, endpoint.headers, headers),
    params: mergeRecords(false, endpoint.params, params),
  })
}
