/**
 * What a reading session knows and what it does next, as a pure state machine: answers and events come in through
 * `transition`, `nextStep` says which request to make. It has no clock, no chance and no network.
 */
import type { LegacyLiveMode, Offset } from './options.ts'

/** How live data is fetched. `sse` counts connections in a row that did not last. */
export type ActiveTransport =
  | { readonly kind: 'long-poll'; readonly answerAtOnce: boolean }
  | { readonly kind: 'sse'; readonly shortConnections: number; readonly openedAtMs: number | undefined }

/** A paused session remembers what it goes on with. */
export type Transport = ActiveTransport | { readonly kind: 'paused'; readonly resumeTo: ActiveTransport }

/** Limits for SSE connections, with every value there. */
export interface SseLimits {
  readonly minConnectionDuration: number
  readonly maxShortConnections: number
  readonly backoffBaseDelay: number
  readonly backoffMaxDelay: number
}

/** The state of a session. */
export interface ReaderState {
  readonly offset: Offset
  readonly cursor: string | undefined
  readonly upToDate: boolean
  readonly streamClosed: boolean
  /** Whether the session goes on after it is up to date. */
  readonly live: boolean
  readonly transport: Transport
  readonly limits: SseLimits
  /** Answers in a row that did not move the offset. */
  readonly stalls: number
  /** The wait before the next request, in milliseconds: exactly this, or any time below it when `jitter` is set. */
  readonly waitMs: number
  readonly jitter: boolean
  readonly problem: 'missing-offset' | 'no-progress' | undefined
}

/** An HTTP answer that is not an event stream; its values are undefined where a header was absent. */
export interface PageEvent {
  readonly type: 'page'
  readonly offset: string | undefined
  readonly cursor: string | undefined
  readonly upToDate: boolean
  readonly closed: boolean
  readonly hasData: boolean
  /** Whether it answered a live request so fast that the server can't have waited. */
  readonly hurried: boolean
}

/** An SSE control event; undefined means that the field was absent. */
export interface ControlEvent {
  readonly type: 'control'
  readonly offset: string | undefined
  readonly cursor: string | undefined
  readonly upToDate: boolean | undefined
  readonly closed: boolean
}

/** Everything that can happen to a session. */
export type ReaderEvent =
  | PageEvent
  | ControlEvent
  /** An SSE connection was answered. */
  | { readonly type: 'opened'; readonly atMs: number }
  /** An SSE connection ended, though nobody here ended it; `broken` when not cleanly. */
  | { readonly type: 'ended'; readonly atMs: number; readonly broken: boolean }
  /** A request for SSE was answered with something else. */
  | { readonly type: 'sse-unavailable' }
  /** The caller wants what exists and nothing later. */
  | { readonly type: 'collect' }
  | { readonly type: 'hide' }
  | { readonly type: 'show' }

/** What to do next. */
export type Step =
  | { readonly kind: 'end' }
  | { readonly kind: 'paused' }
  | { readonly kind: 'fail'; readonly problem: 'missing-offset' | 'no-progress' }
  | {
      readonly kind: 'request'
      readonly offset: Offset
      readonly cursor: string | undefined
      readonly live: LegacyLiveMode | undefined
      readonly waitMs: number
      readonly jitter: boolean
      /** Whether a cache on the way must not answer. */
      readonly fresh: boolean
    }

/** After this many catch-up answers that do not move the offset a session fails. */
export const MAX_STALLS = 5
const STALL_BASE_DELAY_MS = 100
const STALL_MAX_DELAY_MS = 5000
const HURRIED_MAX_DELAY_MS = 1000

const NO_WAIT = { waitMs: 0, jitter: false } as const
const LONG_POLL: ActiveTransport = { kind: 'long-poll', answerAtOnce: false }

/** The state before the first answer. */
export function initialState(
  offset: Offset,
  live: LegacyLiveMode | undefined,
  limits: SseLimits,
): ReaderState {
  return {
    offset,
    cursor: undefined,
    upToDate: false,
    streamClosed: false,
    live: live !== undefined,
    transport: live === 'sse' ? { kind: 'sse', shortConnections: 0, openedAtMs: undefined } : LONG_POLL,
    limits,
    stalls: 0,
    ...NO_WAIT,
    problem: undefined,
  }
}

/** The next thing to do in a state. */
export function nextStep(state: ReaderState): Step {
  if (isFinished(state)) return { kind: 'end' }
  if (state.problem !== undefined) return { kind: 'fail', problem: state.problem }
  const { offset, cursor, transport, waitMs, jitter, stalls, upToDate } = state
  if (transport.kind === 'paused') return { kind: 'paused' }
  const request = {
    kind: 'request',
    offset,
    cursor,
    waitMs,
    jitter,
    fresh: stalls === 1 && !upToDate,
  } as const
  const asksLive = upToDate && !(transport.kind === 'long-poll' && transport.answerAtOnce)
  return { ...request, live: asksLive ? transport.kind : undefined }
}

/**
 * Whether the data of an answer is handed over: not when the same data would come again, because the offset does not
 * move although more is said to follow.
 */
export function delivers(before: ReaderState, event: PageEvent): boolean {
  const after = onPage(before, event)
  return after.problem === undefined && (after.stalls === 0 || after.upToDate)
}

/** The state after an event. Events that mean nothing in a state change nothing. */
export function transition(state: ReaderState, event: ReaderEvent): ReaderState {
  switch (event.type) {
    case 'page':
      return onPage(state, event)
    case 'control':
      return onControl(state, event)
    case 'collect':
      return { ...state, live: false }
    case 'opened':
    case 'ended':
    case 'sse-unavailable':
    case 'hide':
    case 'show':
      return onTransportEvent(state, event)
  }
}

type TransportEvent = Exclude<ReaderEvent, PageEvent | ControlEvent | { readonly type: 'collect' }>

function onTransportEvent(state: ReaderState, event: TransportEvent): ReaderState {
  const { transport } = state
  switch (transport.kind) {
    case 'paused':
      return event.type === 'show' ? { ...state, ...NO_WAIT, transport: resumed(transport.resumeTo) } : state
    case 'long-poll':
      if (event.type === 'hide') return paused(state, transport)
      return event.type === 'ended' ? stalledAtEnd(state) : state
    case 'sse':
      switch (event.type) {
        case 'hide':
          return paused(state, { ...transport, openedAtMs: undefined })
        case 'opened':
          return { ...state, ...NO_WAIT, transport: { ...transport, openedAtMs: event.atMs } }
        case 'ended':
          return onEnded(state, transport, event)
        case 'sse-unavailable':
          return { ...state, ...NO_WAIT, transport: LONG_POLL }
        case 'show':
          return state
      }
  }
}

function paused(state: ReaderState, resumeTo: ActiveTransport): ReaderState {
  return { ...state, transport: { kind: 'paused', resumeTo } }
}

/** Someone looks again: long-poll asks once for what is there already, so that the answer does not wait for news. */
function resumed(transport: ActiveTransport): ActiveTransport {
  return transport.kind === 'long-poll' ? { kind: 'long-poll', answerAtOnce: true } : transport
}

function isFinished({ streamClosed, upToDate, live }: ReaderState): boolean {
  return streamClosed || (upToDate && !live)
}

function onPage(state: ReaderState, event: PageEvent): ReaderState {
  const offset = event.offset ?? state.offset
  const streamClosed = state.streamClosed || event.closed
  const stalled = offset === state.offset && !streamClosed && (!event.upToDate || event.hurried)
  const stalls = stalled ? state.stalls + 1 : 0
  const after: ReaderState = {
    ...state,
    offset,
    cursor: event.cursor ?? state.cursor,
    upToDate: event.upToDate || streamClosed,
    streamClosed,
    transport: answered(state.transport),
    stalls,
    waitMs: event.upToDate ? hurriedWait(stalls) : stallWait(stalls),
    jitter: false,
  }
  if (isFinished(after)) return after
  if (event.offset === undefined && event.hasData) return { ...after, problem: 'missing-offset' }
  if (!event.upToDate && stalls >= MAX_STALLS) return { ...after, problem: 'no-progress' }
  return after
}

function answered(transport: Transport): Transport {
  return transport.kind === 'long-poll' ? LONG_POLL : transport
}

/** The first stall is tried again at once, past all caches; later ones wait longer and longer. */
function stallWait(stalls: number): number {
  return stalls < 2 ? 0 : Math.min(STALL_BASE_DELAY_MS * 2 ** (stalls - 2), STALL_MAX_DELAY_MS)
}

/** A server that answers live requests at once, again and again, is slowed down but never given up. */
function hurriedWait(stalls: number): number {
  return stalls < MAX_STALLS
    ? 0
    : Math.min(STALL_BASE_DELAY_MS * 2 ** (stalls - MAX_STALLS), HURRIED_MAX_DELAY_MS)
}

/** Only a server that sends event streams nobody asked for gets here. */
function stalledAtEnd(state: ReaderState): ReaderState {
  const stalls = state.stalls + 1
  const problem = stalls >= MAX_STALLS && !state.upToDate ? 'no-progress' : state.problem
  return { ...state, stalls, problem, waitMs: stallWait(stalls), jitter: false }
}

function onControl(state: ReaderState, event: ControlEvent): ReaderState {
  const streamClosed = state.streamClosed || event.closed
  return {
    ...state,
    offset: event.offset ?? state.offset,
    cursor: event.cursor ?? state.cursor,
    upToDate: streamClosed || (event.upToDate ?? state.upToDate),
    streamClosed,
    stalls: event.offset === undefined || event.offset === state.offset ? state.stalls : 0,
  }
}

function onEnded(
  state: ReaderState,
  transport: ActiveTransport & { kind: 'sse' },
  { atMs, broken }: { readonly atMs: number; readonly broken: boolean },
): ReaderState {
  const { minConnectionDuration, maxShortConnections, backoffBaseDelay, backoffMaxDelay } = state.limits
  const closed = { ...transport, openedAtMs: undefined }
  const lasted = atMs - (transport.openedAtMs ?? atMs)
  if (lasted >= minConnectionDuration) {
    const waitMs = broken ? Math.min(backoffBaseDelay, backoffMaxDelay) : 0
    return { ...state, waitMs, jitter: broken, transport: { ...closed, shortConnections: 0 } }
  }
  const shortConnections = transport.shortConnections + 1
  if (shortConnections >= maxShortConnections) return { ...state, ...NO_WAIT, transport: LONG_POLL }
  const waitMs = Math.min(backoffMaxDelay, backoffBaseDelay * 2 ** shortConnections)
  return { ...state, waitMs, jitter: true, transport: { ...closed, shortConnections } }
}
