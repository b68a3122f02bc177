/** A `fetch` that records requests and answers them as a test says: at once, later, or never. */

/** One request as it went out. */
export interface SentRequest {
  readonly method: string
  readonly url: string
  readonly headers: Headers
  readonly body: string
  readonly signal: AbortSignal | undefined
  /** Answers a request that the script left open. */
  respond(response: Response): void
  /** Breaks the connection of a request that the script left open. */
  fail(error?: Error): void
}

/** What a script makes of a request: an answer, a network error, or nothing, to leave it open. */
export type Script = (request: SentRequest, index: number) => Response | Error | undefined

/** A recorded `fetch`. */
export class ScriptedFetch {
  readonly requests: SentRequest[] = []
  #script: Script
  #arrivals: { readonly count: number; readonly resolve: () => void }[] = []

  constructor(script: Script) {
    this.#script = script
  }

  /** Replaces the script for the requests to come. */
  become(script: Script): void {
    this.#script = script
  }

  /** Resolves when so many requests have been made. */
  arrived(count: number): Promise<void> {
    if (this.requests.length >= count) return Promise.resolve()
    return new Promise((resolve) => this.#arrivals.push({ count, resolve }))
  }

  /** Bodies so far. */
  get bodies(): readonly string[] {
    return this.requests.map(({ body }) => body)
  }

  /** `epoch/seq` of the requests so far. */
  get numbers(): readonly string[] {
    return this.requests.map(
      ({ headers }) => `${headers.get('producer-epoch')}/${headers.get('producer-seq')}`,
    )
  }

  readonly fetch: typeof globalThis.fetch = (input, init) =>
    new Promise((resolve, reject) => {
      const signal = init?.signal ?? undefined
      const abort = (): void => reject(new DOMException('aborted', 'AbortError'))
      if (signal?.aborted === true) abort()
      signal?.addEventListener('abort', abort)
      void readBody(init?.body).then((body) => {
        const request: SentRequest = {
          method: init?.method ?? 'GET',
          url: String(input),
          headers: new Headers(init?.headers),
          body,
          signal,
          respond: resolve,
          fail: (error = new TypeError('fetch failed')) => reject(error),
        }
        const answer = this.#script(request, this.requests.push(request) - 1)
        if (answer instanceof Error) reject(answer)
        else if (answer !== undefined) resolve(answer)
        this.#wake()
      })
    })

  #wake(): void {
    const reached = this.#arrivals.filter(({ count }) => count <= this.requests.length)
    this.#arrivals = this.#arrivals.filter((arrival) => !reached.includes(arrival))
    for (const { resolve } of reached) resolve()
  }
}

/** Lets everything happen that can happen without the network. */
export async function quiet(): Promise<void> {
  for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve))
}

/** Answers of a server. */
export const answers = {
  ok: (offset = '0_1', headers: Record<string, string> = {}): Response =>
    new Response(null, { status: 200, headers: { 'stream-next-offset': offset, ...headers } }),
  repeat: (highestSeq: number): Response =>
    new Response(null, { status: 204, headers: { 'producer-seq': String(highestSeq) } }),
  fenced: (epoch: number): Response => errorBody(403, { 'producer-epoch': String(epoch) }),
  gap: (expected: number, received: number): Response =>
    errorBody(409, {
      'producer-expected-seq': String(expected),
      'producer-received-seq': String(received),
    }),
  closed: (offset = '0_9'): Response =>
    errorBody(409, { 'stream-closed': 'true', 'stream-next-offset': offset }),
  status: (status: number, headers: Record<string, string> = {}): Response => errorBody(status, headers),
}

async function readBody(body: RequestInit['body'] | undefined): Promise<string> {
  return body === undefined || body === null ? '' : new Response(body).text()
}

function errorBody(status: number, headers: Record<string, string>): Response {
  return new Response(`status ${status}`, { status, headers })
}
