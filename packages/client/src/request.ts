/** From what a caller configured to requests on the wire: URL, headers, parameters, `fetch`. Reading and writing share it. */
import { fetchUntilDone, type PreparedRequest } from './backoff.ts'
import { DURABLE_STREAM_PROTOCOL_QUERY_PARAMS } from './constants.ts'
import { DurableStreamError, errorOfResponse, InvalidSignalError } from './errors.ts'
import { isAbortSignal, throwIfAborted } from './linked-signal.ts'
import type { BackoffOptions, HeadersRecord, MaybePromise, ParamsRecord } from './options.ts'
import { type ResolvedBackoff, resolveBackoff } from './retry-delay.ts'

/** Where requests go and what they have in common. */
export interface Endpoint {
  readonly url: string
  readonly headers: HeadersRecord
  readonly params: ParamsRecord
  /** Undefined for the global `fetch`, whatever it is when a request is made. */
  readonly fetch: typeof globalThis.fetch | undefined
  readonly backoff: ResolvedBackoff
}

/** The options that make an endpoint. */
export interface EndpointOptions {
  readonly url: string | URL
  readonly headers?: HeadersRecord | undefined
  readonly params?: ParamsRecord | undefined
  readonly fetch?: typeof globalThis.fetch | undefined
  readonly backoffOptions?: BackoffOptions | undefined
}

/** One request to an endpoint. */
export interface RequestParts {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE'
  /** Parameters of the protocol; they replace those in the URL. */
  readonly query?: Readonly<Record<string, string | undefined>>
  /** Headers of the protocol; they replace the caller's of the same name, in any letter case. */
  readonly headers?: Readonly<Record<string, string | undefined>>
  readonly body?: RequestInit['body'] | undefined
  readonly signal?: AbortSignal | undefined
  /** For a body that is a stream. */
  readonly duplex?: 'half'
}

/**
 * Checks everything that can be wrong before a request is made. Throws `BAD_REQUEST` for reserved parameters and options
 * of the wrong kind, and the platform's `TypeError` for a URL that can't be parsed.
 */
export function toEndpoint({ url, headers, params, fetch, backoffOptions }: EndpointOptions): Endpoint {
  const text = String(new URL(url))
  if (fetch !== undefined && typeof fetch !== 'function')
    throw badRequest('the fetch option is not a function')
  checkValues(headers ?? {}, 'headers')
  checkValues(params ?? {}, 'params')
  checkReserved(params ?? {})
  return {
    url: text,
    headers: headers ?? {},
    params: params ?? {},
    fetch,
    backoff: resolveBackoff(backoffOptions),
  }
}

/** Throws `InvalidSignalError` when there is a signal option that is none. */
export function checkSignal(signal: unknown): void {
  if (signal !== undefined && !isAbortSignal(signal)) throw new InvalidSignalError()
}

/** An error of the caller's making, found before any request. */
export function badRequest(what: string): DurableStreamError {
  // A sentence, unless it begins with a name.
  const sentence = /^[a-z]+ /.test(what) ? what.charAt(0).toUpperCase() + what.slice(1) : what
  return new DurableStreamError(sentence, 'BAD_REQUEST')
}

/**
 * Makes a request until it succeeds, is refused for good, or is given up, as the endpoint's back-off says. Headers and
 * parameters are resolved for each attempt. Resolves to a 2xx answer with its body unread.
 */
export function send(endpoint: Endpoint, parts: RequestParts): Promise<Response> {
  return sendAndReceive(endpoint, parts, (response) => response)
}

/** The same up to what `receive` makes of the answer; when that fails, as a body that breaks off, so has the attempt. */
export function sendAndReceive<T>(
  endpoint: Endpoint,
  parts: RequestParts,
  receive: (response: Response) => T | Promise<T>,
): Promise<T> {
  const { method, signal } = parts
  return fetchUntilDone(() => prepare(endpoint, parts), endpoint.backoff, method, signal, receive)
}

/** Makes a request once. Resolves to any answer with its body unread; throws what `fetch` throws. */
export async function sendOnce(endpoint: Endpoint, parts: RequestParts): Promise<Response> {
  throwIfAborted(parts.signal)
  const { fetch, url, init } = await prepare(endpoint, parts)
  throwIfAborted(parts.signal)
  return fetch(url, init)
}

/** The answer when it is a 2xx; throws the error for it otherwise. */
export async function requireSuccess(
  response: Response,
  endpoint: Endpoint,
  method: string,
): Promise<Response> {
  if (response.ok) return response
  throw await errorOfResponse(response, endpoint.url, method)
}

export async function prepare(endpoint: Endpoint, parts: RequestParts): Promise<PreparedRequest> {
  const { method, body, signal, duplex } = parts
  const headers = mergeHeaders(await resolveHeaders(endpoint.headers), parts.headers ?? {})
  const url = buildUrl(endpoint.url, await resolveParams(endpoint.params), parts.query ?? {})
  const init = {
    method,
    headers,
    ...(body !== undefined && body !== null && { body }),
    ...(signal !== undefined && { signal }),
    ...(duplex !== undefined && { duplex }),
  }
  return { fetch: endpoint.fetch ?? globalFetch, url, init }
}

/** Looked up at each call, because tests and polyfills replace it, and called without a `this`. */
const globalFetch: typeof globalThis.fetch = (input, init) => {
  const { fetch } = globalThis
  return fetch(input, init)
}

/** Calls the functions among the values, one after the other, in the order in which they stand. */
export async function resolveHeaders(headers: HeadersRecord): Promise<Record<string, string>> {
  const resolved: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    resolved[name] = typeof value === 'function' ? await value() : value
  }
  return resolved
}

/** The same for parameters; those that are undefined are left out. */
export async function resolveParams(params: ParamsRecord): Promise<Record<string, string>> {
  const resolved: Record<string, string> = {}
  for (const [name, value] of Object.entries(params)) {
    const given = typeof value === 'function' ? await value() : value
    if (given !== undefined) resolved[name] = given
  }
  return resolved
}

/** Later records win; names are equal in any letter case. */
export function mergeHeaders(
  ...records: readonly Readonly<Record<string, string | undefined>>[]
): Record<string, string> {
  const merged = new Map<string, readonly [name: string, value: string]>()
  for (const record of records) {
    for (const [name, value] of Object.entries(record)) {
      if (value !== undefined) merged.set(name.toLowerCase(), [name, value])
    }
  }
  return Object.fromEntries(merged.values())
}

/** Shallow: later records win. For header records names are equal in any letter case. */
export function mergeRecords<V>(
  ignoreCase: boolean,
  ...records: readonly ({ [name: string]: V } | undefined)[]
): { [name: string]: V } {
  const merged = new Map<string, readonly [name: string, value: V]>()
  for (const record of records) {
    for (const [name, value] of Object.entries(record ?? {})) {
      merged.set(ignoreCase ? name.toLowerCase() : name, [name, value])
    }
  }
  return Object.fromEntries(merged.values())
}

/** Sets the caller's parameters and then the protocol's; what stands in the URL already is kept or replaced. */
export function buildUrl(
  url: string,
  params: Readonly<Record<string, string>>,
  query: Readonly<Record<string, string | undefined>>,
): string {
  const built = new URL(url)
  for (const [name, value] of Object.entries(params)) built.searchParams.set(name, value)
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) built.searchParams.set(name, value)
  }
  return built.href
}

function checkValues(record: Readonly<Record<string, MaybePromise<unknown>>>, option: string): void {
  for (const [name, value] of Object.entries(record)) {
    if (typeof value === 'string' || typeof value === 'function') continue
    if (value === undefined && option === 'params') continue
    throw badRequest(`${option}.${name} is neither a string nor a function`)
  }
}

function checkReserved(params: ParamsRecord): void {
  for (const name of DURABLE_STREAM_PROTOCOL_QUERY_PARAMS) {
    if (params[name] === undefined) continue
    throw badRequest(`params.${name} is a parameter of the protocol: use the options of the call instead`)
  }
}
