/** A `fetch` that answers from a script and remembers what it was asked. */
import { vi } from 'vitest'

/** One request as it was made. */
export interface SentRequest {
  readonly url: URL
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly signal: AbortSignal | undefined
  readonly query: Readonly<Record<string, string>>
}

/** An answer, a network error, or what makes one of the request. */
export type Answer = Response | Error | ((request: SentRequest) => Response | Promise<Response>)

/** Machines that run tests may be slow: nothing is given up before this many milliseconds. */
export const PATIENCE_MS = 20_000

/** Waits until an assertion holds. */
export function eventually(assertion: () => void): Promise<void> {
  return vi.waitFor(assertion, { timeout: PATIENCE_MS, interval: 1 })
}

export interface ScriptedFetch {
  readonly fetch: typeof fetch
  readonly requests: readonly SentRequest[]
  /** Resolves once this many requests were made. */
  untilRequests(count: number): Promise<void>
}

/** Answers in the given order; requests beyond the script wait, as a long-poll does, until they are aborted. */
export function scriptedFetch(...answers: readonly Answer[]): ScriptedFetch {
  const requests: SentRequest[] = []
  const answer = async (input: string | URL | Request, init: RequestInit = {}): Promise<Response> => {
    const request = toSent(input, init)
    const next = answers[requests.length] ?? hang
    requests.push(request)
    if (next instanceof Error) throw next
    if (request.signal?.aborted === true) throw request.signal.reason
    return typeof next === 'function' ? next(request) : next
  }
  return {
    fetch: answer,
    requests,
    untilRequests: (count) =>
      eventually(() => {
        if (requests.length < count) throw new Error(`${requests.length} of ${count} requests were made`)
      }),
  }
}

function toSent(input: string | URL | Request, init: RequestInit): SentRequest {
  if (typeof input !== 'string') throw new Error('the client calls fetch with a string')
  const url = new URL(input)
  return {
    url,
    method: init.method ?? 'GET',
    headers: (init.headers ?? {}) as Record<string, string>,
    signal: init.signal ?? undefined,
    query: Object.fromEntries(url.searchParams),
  }
}

/** Never answers; rejects when the request is aborted. */
export function hang({ signal }: SentRequest): Promise<Response> {
  return new Promise((_, reject) => {
    signal?.addEventListener('abort', () => reject(signal.reason))
  })
}

export interface PageFields {
  readonly offset?: string | undefined
  readonly cursor?: string
  readonly upToDate?: boolean
  readonly closed?: string
  readonly type?: string
  readonly status?: number
}

/** An answer with a body; up to date unless told otherwise. */
export function page(
  body: string | Uint8Array<ArrayBuffer> | ReadableStream | null,
  fields: PageFields = {},
): Response {
  const { offset, cursor, upToDate = true, closed, type = 'application/json', status = 200 } = fields
  const headers = new Headers({ 'content-type': type })
  if (offset !== undefined) headers.set('Stream-Next-Offset', offset)
  if (cursor !== undefined) headers.set('Stream-Cursor', cursor)
  if (upToDate) headers.set('Stream-Up-To-Date', 'true')
  if (closed !== undefined) headers.set('Stream-Closed', closed)
  return new Response(body, { status, headers })
}

/** A long-poll that nothing came of. */
export function timeout(fields: PageFields = {}): Response {
  return page(null, { ...fields, status: 204 })
}

export interface EventStream {
  readonly response: Response
  send(text: string | Uint8Array): void
  end(): void
  fail(): void
  readonly cancelled: Promise<void>
}

/** An SSE answer that the test writes. */
export function eventStream(headers: Readonly<Record<string, string>> = {}): EventStream {
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined
  let cancel: () => void = () => undefined
  const cancelled = new Promise<void>((resolve) => {
    cancel = resolve
  })
  const body = new ReadableStream<Uint8Array>({
    start: (given) => {
      controller = given
    },
    cancel,
  })
  return {
    response: new Response(body, { headers: { 'content-type': 'text/event-stream', ...headers } }),
    send: (text) => controller?.enqueue(typeof text === 'string' ? new TextEncoder().encode(text) : text),
    end: () => controller?.close(),
    fail: () => controller?.error(new TypeError('terminated')),
    cancelled,
  }
}

/** An SSE answer that is complete. */
export function events(...parts: readonly string[]): Response {
  const { response, send, end } = eventStream()
  for (const part of parts) send(part)
  end()
  return response
}

export function dataEvent(data: string): string {
  return `event: data\ndata: ${data}\n\n`
}

export function controlEvent(fields: Readonly<Record<string, unknown>>): string {
  return `event: control\ndata: ${JSON.stringify(fields)}\n\n`
}
