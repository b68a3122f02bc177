/** Makes a request until it succeeds, is refused for good, or is given up. */
import { errorOfResponse } from './errors.ts'
import { sleep, throwIfAborted } from './linked-signal.ts'
import type { BackoffOptions } from './options.ts'
import { parseRetryAfterHeader, type ResolvedBackoff, resolveBackoff, retryDelay } from './retry-delay.ts'

/** One request, ready to be sent. */
export interface PreparedRequest {
  readonly fetch: typeof globalThis.fetch
  readonly url: string
  readonly init: RequestInit
}

/**
 * Wraps `fetch` so that failed requests are made again: network errors, 5xx, 429. Resolves to a 2xx answer. Any other
 * 4xx is thrown at once, the last failure after `maxRetries` retries; HTTP failures are both `FetchError` and
 * `DurableStreamError`. An abort of `init.signal`, also during a wait, throws `FetchBackoffAbortError` at once.
 * A body that can be read only once (a stream) is sent once.
 */
export function createFetchWithBackoff(
  fetchClient: typeof fetch,
  backoffOptions?: BackoffOptions,
): typeof fetch {
  const backoff = resolveBackoff(backoffOptions)
  return (input, init = {}) => {
    const request = typeof input === 'object' && 'url' in input ? input : undefined
    const signal = init.signal ?? request?.signal
    const method = init.method ?? request?.method ?? 'GET'
    const once = isStream(init.body) || (request !== undefined && request.body !== null)
    const url = request?.url ?? String(input)
    return fetchUntilDone(
      async () => ({
        fetch: (_, sent) => fetchClient(request ?? url, sent),
        url,
        init: signal === undefined ? init : { ...init, signal },
      }),
      once ? { ...backoff, maxRetries: 0 } : backoff,
      method,
      signal ?? undefined,
      (response) => response,
    )
  }
}

/**
 * The same with a request that is prepared anew for every attempt, so that headers and parameters are fresh. What
 * `prepare` throws is thrown on, without a retry. When `receive` fails, which reads the answer, so has the attempt.
 */
export async function fetchUntilDone<T>(
  prepare: () => Promise<PreparedRequest>,
  backoff: ResolvedBackoff,
  method: string,
  signal: AbortSignal | undefined,
  receive: (response: Response) => T | Promise<T>,
): Promise<T> {
  for (let retry = 0; ; retry++) {
    throwIfAborted(signal)
    const request = await prepare()
    throwIfAborted(signal)
    const attempt = await tryOnce(request, method, receive)
    if (attempt.done) return attempt.received
    throwIfAborted(signal)
    backoff.onFailedAttempt?.()
    if (backoff.debug) console.debug(`Attempt ${retry + 1} at ${request.url} failed`, attempt.error)
    if (!attempt.retryable || retry >= backoff.maxRetries) throw attempt.error
    await sleep(retryDelay(backoff, retry, Math.random(), attempt.serverMinimum), signal)
  }
}

type Attempt<T> =
  | { readonly done: true; readonly received: T }
  | {
      readonly done: false
      readonly error: unknown
      readonly retryable: boolean
      readonly serverMinimum: number
    }

async function tryOnce<T>(
  { fetch, url, init }: PreparedRequest,
  method: string,
  receive: (response: Response) => T | Promise<T>,
): Promise<Attempt<T>> {
  let response: Response
  try {
    response = await fetch(url, init)
    if (response.ok) return { done: true, received: await receive(response) }
  } catch (error) {
    return { done: false, error, retryable: true, serverMinimum: 0 }
  }
  const { status } = response
  const serverMinimum = parseRetryAfterHeader(response.headers.get('retry-after'), Date.now())
  const retryable = status < 400 || status >= 500 || status === 429
  return { done: false, error: await errorOfResponse(response, url, method), retryable, serverMinimum }
}

function isStream(body: unknown): boolean {
  return typeof body === 'object' && body !== null && 'getReader' in body
}
