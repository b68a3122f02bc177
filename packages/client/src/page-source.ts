/** Turns the state machine of a reader into requests, and their answers into pages in stream order. */
import {
  CURSOR_QUERY_PARAM,
  LIVE_QUERY_PARAM,
  OFFSET_QUERY_PARAM,
  STREAM_OFFSET_HEADER,
} from './constants.ts'
import type { RecoveringRequests } from './error-handler.ts'
import { DurableStreamError } from './errors.ts'
import { type LinkedSignal, linkSignals, sleep } from './linked-signal.ts'
import type { Offset } from './options.ts'
import { hasContent, type PageContent } from './page-content.ts'
import { isEventStream, type Position, toPageEvent } from './page-headers.ts'
import { watchVisibility } from './page-visibility.ts'
import {
  delivers,
  MAX_STALLS,
  nextStep,
  type ReaderEvent,
  type ReaderState,
  type Step,
  transition,
} from './reader-state.ts'
import { type RequestParts, sendAndReceive } from './request.ts'
import type { SseBatch } from './sse-batch.ts'
import { SseConnection } from './sse-connection.ts'

/** Data with the position after it. */
export interface Page {
  readonly content: PageContent
  readonly position: Position
  /** The HTTP answer it came with; undefined over SSE. */
  readonly response: Response | undefined
  /** Whether nothing follows in this session. */
  readonly isLast: boolean
}

/** What a session goes on with after its first answer. */
export interface SessionStart {
  readonly response: Response
  readonly state: ReaderState
  readonly requests: RecoveringRequests
  readonly logWarnings: boolean
  /** Told when the session begins to follow the stream live; what it returns is called at the end. */
  readonly onLive: () => () => void
}

type RequestStep = Step & { readonly kind: 'request' }

/** Live answers that come sooner than this, in milliseconds, did not wait for anything. */
const HURRIED_MS = 20
const FRESH_QUERY_PARAM = 'cache-buster'

/** The pages of a session, fetched as they are asked for. */
export class PageSource {
  readonly #requests: RecoveringRequests
  readonly #logWarnings: boolean
  readonly #session: AbortSignal
  readonly #onLive: () => () => void
  readonly #ready: Page[] = []
  #state: ReaderState
  #first: Response | undefined
  #connection: SseConnection | undefined
  /** What the request under way listens to: hiding the page ends this, not the session. */
  #scope: LinkedSignal | undefined
  #unwatch: (() => void) | undefined
  #leaveLive: (() => void) | undefined
  #onShown: (() => void) | undefined

  /** `session` ends everything. */
  constructor({ response, state, requests, logWarnings, onLive }: SessionStart, session: AbortSignal) {
    this.#requests = requests
    this.#logWarnings = logWarnings
    this.#session = session
    this.#onLive = onLive
    this.#state = state
    this.#first = response
  }

  /** To be called once, before the first page is asked for. `collect` reads what exists and nothing later. */
  open(collect: boolean): void {
    if (collect) this.#apply({ type: 'collect' })
    if (!this.#state.live || this.#session.aborted) return
    this.#leaveLive = this.#onLive()
    this.#unwatch = watchVisibility((hidden) => this.#setHidden(hidden))
  }

  /** The next page; undefined after the last one, and at once when the session is aborted. One call at a time. */
  async next(): Promise<Page | undefined> {
    while (!this.#session.aborted) {
      const page = this.#ready.shift()
      if (page !== undefined) return page
      const step = nextStep(this.#state)
      if (step.kind === 'end') return undefined
      if (step.kind === 'fail') throw stepError(step.problem, this.#state)
      try {
        await this.#advance(step)
      } catch (error) {
        // What an abort makes of a request is no failure: the state says how to go on.
        if (!this.#session.aborted && this.#scope?.signal.aborted !== true) throw error
        this.#drop()
      }
    }
    return undefined
  }

  /** Lets go of everything. Pages that were asked for do not come any more if the session is aborted. */
  close(): void {
    this.#unwatch?.()
    this.#leaveLive?.()
    this.#drop()
    this.#onShown?.()
    const unread = this.#first
    this.#first = undefined
    // Of a body that was aborted already nothing is left to cancel.
    if (unread?.bodyUsed === false) unread.body?.cancel().catch(() => undefined)
  }

  async #advance(step: Exclude<Step, { kind: 'end' | 'fail' }>): Promise<void> {
    const first = this.#first
    this.#first = undefined
    if (first !== undefined) return this.#takeFirst(first)
    if (this.#connection !== undefined) return this.#readConnection(this.#connection)
    if (step.kind === 'request') return this.#request(step)
    await new Promise<void>((resolve) => {
      this.#onShown = resolve
    })
  }

  async #takeFirst(response: Response): Promise<void> {
    if (isEventStream(response)) {
      this.#scope = linkSignals(this.#session)
      return this.#openConnection(response)
    }
    let bytes: Uint8Array
    try {
      bytes = await readBytes(response)
    } catch {
      // The same page is asked for again, with the retries of every other request.
      return
    }
    this.#takePage(response, bytes, false)
  }

  async #request(step: RequestStep): Promise<void> {
    const scope = linkSignals(this.#session)
    this.#scope = scope
    if (step.waitMs > 0) await sleep(step.jitter ? Math.random() * step.waitMs : step.waitMs, scope.signal)
    if (scope.signal.aborted) return
    const sentAtMs = Date.now()
    const parts: RequestParts = { method: 'GET', query: queryOf(step), signal: scope.signal }
    const { response, bytes } = await this.#requests.run(scope.signal, (endpoint) =>
      sendAndReceive(endpoint, parts, receive),
    )
    if (bytes === undefined) return this.#openConnection(response)
    scope.release()
    if (step.live === 'sse') this.#leaveSse('the server answers without an event stream')
    this.#takePage(response, bytes, step.live !== undefined && Date.now() - sentAtMs < HURRIED_MS)
  }

  #takePage(response: Response, bytes: Uint8Array, hurried: boolean): void {
    const event = toPageEvent(response, bytes.length > 0, hurried)
    const delivered = delivers(this.#state, event)
    this.#apply(event)
    if (delivered) this.#push({ kind: 'bytes', bytes }, response)
  }

  #openConnection(response: Response): void {
    this.#connection = new SseConnection(response)
    this.#apply({ type: 'opened', atMs: Date.now() })
  }

  async #readConnection(connection: SseConnection): Promise<void> {
    const read = await connection.read()
    for (const batch of read.batches) this.#takeBatch(batch)
    // Whoever lets go of a connection ends it: that says nothing about the server.
    if (this.#connection !== connection || this.#scope?.signal.aborted === true) return this.#drop()
    if (read.kind === 'batches') return
    this.#drop()
    const wasSse = this.#state.transport.kind === 'sse'
    this.#apply({ type: 'ended', atMs: Date.now(), broken: read.broken })
    if (wasSse && this.#state.transport.kind === 'long-poll') this.#warn(SHORT_CONNECTIONS)
  }

  #takeBatch({ content, control }: SseBatch): void {
    this.#apply(control)
    const isNews = control.upToDate === true || control.closed
    if (hasContent(content) || isNews) this.#push(content, undefined)
  }

  #push(content: PageContent, response: Response | undefined): void {
    const { offset, cursor, upToDate, streamClosed } = this.#state
    const isLast = nextStep(this.#state).kind === 'end'
    this.#ready.push({ content, response, isLast, position: { offset, cursor, upToDate, streamClosed } })
  }

  #apply(event: ReaderEvent): void {
    this.#state = transition(this.#state, event)
  }

  #setHidden(hidden: boolean): void {
    this.#apply({ type: hidden ? 'hide' : 'show' })
    if (hidden) {
      this.#scope?.abort()
      // A fetch may forget about its signal once it has answered.
      this.#connection?.cancel()
    } else {
      this.#onShown?.()
    }
  }

  #leaveSse(why: string): void {
    this.#apply({ type: 'sse-unavailable' })
    this.#warn(why)
  }

  #warn(why: string): void {
    if (!this.#logWarnings) return
    console.warn(`The session goes on with long-poll instead of SSE: ${why}`)
  }

  #drop(): void {
    this.#connection?.cancel()
    this.#connection = undefined
    this.#scope?.abort()
    this.#scope = undefined
  }
}

const SHORT_CONNECTIONS =
  'several SSE connections in a row ended at once. A proxy that buffers answers may be the cause; ' +
  'turn its response buffering off for live reads'

interface Received {
  readonly response: Response
  /** Undefined for an event stream, which is read as it comes. */
  readonly bytes: Uint8Array | undefined
}

async function receive(response: Response): Promise<Received> {
  return { response, bytes: isEventStream(response) ? undefined : await readBytes(response) }
}

async function readBytes(response: Response): Promise<Uint8Array> {
  return response.body === null ? new Uint8Array(0) : new Uint8Array(await response.arrayBuffer())
}

function queryOf({ offset, cursor, live, fresh }: RequestStep): Record<string, string | undefined> {
  return {
    [OFFSET_QUERY_PARAM]: offset,
    [LIVE_QUERY_PARAM]: live,
    [CURSOR_QUERY_PARAM]: cursor,
    [FRESH_QUERY_PARAM]: fresh ? Math.random().toString(36).slice(2) : undefined,
  }
}

function stepError(
  problem: 'missing-offset' | 'no-progress',
  { offset }: { offset: Offset },
): DurableStreamError {
  if (problem === 'missing-offset') {
    const message =
      `The answer at offset ${offset} has no ${STREAM_OFFSET_HEADER} header, so that nothing can be read after it. ` +
      'A proxy may remove it, or CORS may hide it: let Access-Control-Expose-Headers name it'
    return new DurableStreamError(message, 'MISSING_HEADERS')
  }
  const message =
    `The server has answered ${MAX_STALLS} times at offset ${offset} that more follows, without getting any further. ` +
    'A cache on the way may serve stale answers'
  return new DurableStreamError(message, 'NO_PROGRESS')
}
