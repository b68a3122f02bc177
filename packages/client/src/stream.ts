/** `stream()`: checks what it was asked for, makes the first request and starts the session. */
import { CURSOR_QUERY_PARAM, LIVE_QUERY_PARAM, OFFSET_QUERY_PARAM } from './constants.ts'
import { RecoveringRequests } from './error-handler.ts'
import { DurableStreamError } from './errors.ts'
import { countLiveStream, warnIfUsingHttpInBrowser } from './http-warning.ts'
import { type LinkedSignal, linkSignals } from './linked-signal.ts'
import type { LegacyLiveMode, SSEResilienceOptions, Untyped } from './options.ts'
import { firstPosition } from './page-headers.ts'
import type { StreamOptions } from './read-options.ts'
import { ReadResponse } from './read-response.ts'
import { initialState, type SseLimits } from './reader-state.ts'
import { badRequest, checkSignal, type Endpoint, send, toEndpoint } from './request.ts'
import { Session } from './session.ts'
import type { StreamResponse } from './stream-response.ts'

const BEGINNING = '-1'
const PRESENT_END = 'now'

/**
 * Reads a stream from an offset, and goes on live unless told otherwise. Resolves when the first answer has begun, with
 * its body unread; no further request is made before the response is consumed. Rejects with an error that is both
 * `FetchError` and `DurableStreamError` when the server refuses, with `BAD_REQUEST` before any request for options that
 * can't be meant, and with `UNKNOWN` when the signal aborts. A server that can't be reached is waited for: set
 * `backoffOptions.maxRetries` to bound that.
 */
export async function stream<TJson = Untyped>(options: StreamOptions): Promise<StreamResponse<TJson>> {
  const { endpoint, startOffset, live, mode, limits } = checkOptions(options)
  const { onError, signal, json = false, sseResilience } = options
  warnIfUsingHttpInBrowser(endpoint.url, options.warnOnHttp)
  const link = linkSignals(signal)
  const requests = new RecoveringRequests(endpoint, onError)
  const response = await requestFirst(requests, startOffset, link)
  const position = firstPosition(response, startOffset)
  // Read again, the present end would be a later one.
  const offset = startOffset === PRESENT_END ? position.offset : startOffset
  const start = {
    response,
    requests,
    state: initialState(offset, mode, limits),
    logWarnings: sseResilience?.logWarnings ?? true,
    onLive: () => countLiveStream(endpoint.url, options.warnOnHttp),
  }
  const contentType = response.headers.get('content-type') ?? undefined
  return new ReadResponse(new Session(start, position, link), {
    url: String(options.url),
    contentType,
    live,
    startOffset,
    isJson: json || /application\/json/i.test(contentType ?? ''),
    hasErrorHandler: onError !== undefined,
  })
}

async function requestFirst(
  requests: RecoveringRequests,
  offset: string,
  link: LinkedSignal,
): Promise<Response> {
  const { signal } = link
  const query = {
    [OFFSET_QUERY_PARAM]: offset,
    [LIVE_QUERY_PARAM]: undefined,
    [CURSOR_QUERY_PARAM]: undefined,
  }
  try {
    if (signal.aborted) throw signal.reason
    return await requests.run(signal, (endpoint) => send(endpoint, { method: 'GET', query, signal }))
  } catch (error) {
    link.release()
    if (!signal.aborted) throw error
    throw new DurableStreamError('The request was aborted', 'UNKNOWN', undefined, signal.reason)
  }
}

interface CheckedOptions {
  readonly endpoint: Endpoint
  readonly startOffset: string
  readonly live: boolean | LegacyLiveMode
  readonly mode: LegacyLiveMode | undefined
  readonly limits: SseLimits
}

function checkOptions(options: StreamOptions): CheckedOptions {
  if (typeof options !== 'object' || options === null || !options.url) {
    throw badRequest('stream() needs the url of a stream')
  }
  const { offset = BEGINNING, live = true, onError } = options
  if (typeof offset !== 'string' || offset === '') {
    throw badRequest('offset is not an offset: pass one that a response gave, "-1" or "now"')
  }
  if (onError !== undefined && typeof onError !== 'function') throw badRequest('onError is not a function')
  checkSignal(options.signal)
  const endpoint = toEndpoint(options)
  return {
    endpoint,
    startOffset: offset,
    live,
    mode: liveModeOf(live),
    limits: limitsOf(options.sseResilience),
  }
}

/** `true` is long-poll: SSE is never chosen for somebody who did not ask for it. */
function liveModeOf(live: unknown): LegacyLiveMode | undefined {
  if (live === false) return undefined
  if (live === true || live === 'long-poll') return 'long-poll'
  if (live === 'sse') return live
  throw badRequest(`live is ${JSON.stringify(live)}: use false, true, "long-poll" or "sse"`)
}

const DEFAULT_LIMITS: SseLimits = {
  minConnectionDuration: 1000,
  maxShortConnections: 3,
  backoffBaseDelay: 100,
  backoffMaxDelay: 5000,
}

function limitsOf(given: SSEResilienceOptions = {}): SseLimits {
  const limits = { ...DEFAULT_LIMITS }
  for (const name of Object.keys(limits) as (keyof SseLimits)[]) {
    const value: unknown = given[name]
    if (value === undefined) continue
    if (typeof value !== 'number' || !(value >= 0)) {
      throw badRequest(`sseResilience.${name} is not a number of at least 0: ${String(value)}`)
    }
    Object.assign(limits, { [name]: value })
  }
  return limits
}
