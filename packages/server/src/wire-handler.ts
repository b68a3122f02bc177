/** From a neutral request to a neutral response: access, routing, and what becomes of failures. */
import { Fault } from '@millrace/engine'
import {
  CONTROL_SEGMENT,
  type HeaderList,
  isLiveBody,
  PROTOCOL_LIMITS,
  type Problem,
  parseStreamPath,
  respondWithProblem,
  toProblem,
  type WireRequest,
  type WireResponse,
} from '@millrace/protocol'
import { type Access, AccessRules, PREFLIGHT_HEADERS, STREAM_METHODS } from './access-rules.ts'
import type { Guard, Identity } from './auth-guard.ts'
import { NEEDS_CREDENTIALS, refusalOfAdministration, refusalOfRequest } from './auth-operations.ts'
import { FailureLog } from './failure-log.ts'
import { limitKeyOf } from './forwarded.ts'
import type { AnsweredRequest, HandlerSettings } from './options.ts'
import { RateLimit } from './rate-limit.ts'
import { serveListing } from './stream-listing.ts'
import { type RouteContext, refuse, serveStream } from './stream-routes.ts'

/** Answers every request; never throws. */
export type WireHandler = (request: WireRequest) => Promise<WireResponse>

/** What a handler needs to know of the server around it. */
export interface WireContext {
  readonly settings: HandlerSettings
  /** Who may do what; without it everybody may do everything. */
  readonly guard: Guard | undefined
  /** The routes, once the store is open. */
  routes(): RouteContext | undefined
  isDraining(): boolean
}

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE'])
const HEALTH_PATHS = new Set(['/healthz', '/health', '/readyz'])
const HEALTH_METHODS = 'GET, HEAD'
const OK_BODY = new TextEncoder().encode('ok\n')

/** Makes the handler that all adapters share. */
export function createWireHandler(context: WireContext): WireHandler {
  const { settings } = context
  const access = new AccessRules(settings.allowedOrigins, settings.allowedHosts)
  const rate = settings.maxRequestsPerSecond
  const limit = rate === undefined ? undefined : new RateLimit(rate, () => performance.now())
  const told = new FailureLog(settings.onError)
  const answer: WireHandler = async (request) => {
    // Health checks come from wherever the deployment's probes are, under whatever name, and tell nothing.
    const granted = isHealthPath(request.target) ? access.open : access.judge(request.header)
    let response: WireResponse
    try {
      response = isRefused(granted, request)
        ? refuse(granted.rejection)
        : await (context.guard === undefined || isOpen(request)
            ? (refuseTooFrequent(limit, request, clientKey(settings, request)) ??
              route(context, request, undefined))
            : admit(context, context.guard, limit, request))
    } catch (error) {
      const refusesWrites = context.routes()?.engine.refusesWrites()
      told.tell(error, refusesWrites)
      response = respondToFailure(error, refusesWrites)
    }
    return finish(request, response, granted.headers)
  }
  return settings.onAnswered === undefined ? answer : observed(answer, settings.onAnswered)
}

/** The same, telling of every answer. The query is left out: it may hold what is nobody's business. */
function observed(answer: WireHandler, onAnswered: (answered: AnsweredRequest) => void): WireHandler {
  return async (request) => {
    const startedMs = performance.now()
    const response = await answer(request)
    const { method, target } = request
    const [path = ''] = target.split('?', 1)
    onAnswered({ method, path, status: response.status, elapsedMs: performance.now() - startedMs })
    return response
  }
}

/** Preflights and health checks come without credentials, and tell nothing. */
function isOpen(request: WireRequest): boolean {
  return request.method === 'OPTIONS' || isHealthPath(request.target)
}

/** Before anything else is done for a request, it is known who sends it. */
async function admit(
  context: WireContext,
  guard: Guard,
  limit: RateLimit | undefined,
  request: WireRequest,
): Promise<WireResponse> {
  const identity = await guard.identify(request)
  // Whoever tries credentials that are wrong is limited by address.
  const limitKey = 'rejection' in identity ? undefined : identity.limitKey
  const limited = refuseTooFrequent(limit, request, limitKey ?? clientKey(context.settings, request))
  if (limited !== undefined) return limited
  return 'rejection' in identity ? refuse(identity.rejection) : route(context, request, identity)
}

function clientKey({ proxy }: HandlerSettings, request: WireRequest): string {
  return limitKeyOf(proxy === undefined ? request.client : proxy.clientOf(request))
}

/** Health checks are never too frequent: a probe that is refused looks like a server that is down. */
function refuseTooFrequent(
  limit: RateLimit | undefined,
  request: WireRequest,
  limitKey: string,
): WireResponse | undefined {
  if (limit === undefined || isHealthPath(request.target)) return undefined
  const retryAfterSeconds = limit.take(limitKey)
  return retryAfterSeconds === undefined ? undefined : refuse({ kind: 'rate-limited', retryAfterSeconds })
}

function isHealthPath(target: string): boolean {
  const questionMark = target.indexOf('?')
  return HEALTH_PATHS.has(questionMark < 0 ? target : target.slice(0, questionMark))
}

/** A preflight is answered to every origin; without `Access-Control-Allow-Origin` the browser goes no further. */
function isRefused(access: Access, request: WireRequest): access is Extract<Access, { kind: 'refused' }> {
  if (access.kind === 'granted') return false
  return request.method !== 'OPTIONS' || access.rejection.kind !== 'origin-refused'
}

function finish(request: WireRequest, response: WireResponse, common: HeaderList): WireResponse {
  const { status, body } = response
  const headers = [...response.headers, ...common]
  // A live body is never made for HEAD, so nothing is left waiting to be started.
  if (request.method === 'HEAD' && body !== undefined && !isLiveBody(body)) {
    return { status, headers, body: undefined }
  }
  return { status, headers, body }
}

async function route(
  context: WireContext,
  request: WireRequest,
  identity: Identity | undefined,
): Promise<WireResponse> {
  const { target } = request
  if (target.length > PROTOCOL_LIMITS.maxTargetBytes) {
    return refuse({
      kind: 'invalid-path',
      detail: `The URL is longer than ${PROTOCOL_LIMITS.maxTargetBytes} bytes.`,
    })
  }
  const questionMark = target.indexOf('?')
  const rawPath = questionMark < 0 ? target : target.slice(0, questionMark)
  const { streamRoot, adminPath } = context.settings
  const query = questionMark < 0 ? '' : target.slice(questionMark + 1)
  // Before the streams: where these are at the root, a health check is no stream's name.
  if (HEALTH_PATHS.has(rawPath)) return serveHealth(context, request, rawPath)
  if (adminPath !== undefined && `${rawPath}/`.startsWith(`${adminPath}/`)) {
    const refusal = identity && refusalOfAdministration(identity)
    if (refusal !== undefined) return refuse(refusal)
    const routes = context.routes()
    if (routes === undefined) return stillStarting()
    return serveListing(routes.engine, request, adminPath, rawPath.slice(adminPath.length), query)
  }
  if (!rawPath.startsWith(streamRoot)) {
    return refuse({ kind: 'route-not-found', detail: `Streams are below ${streamRoot} on this server.` })
  }
  const parsed = parseStreamPath(rawPath.slice(streamRoot.length))
  if (parsed.kind === 'control') {
    return identity?.isAnonymous === true ? refuse(NEEDS_CREDENTIALS) : refuseControl(parsed.path)
  }
  if (request.method === 'OPTIONS') return { status: 204, headers: PREFLIGHT_HEADERS, body: undefined }
  if (!METHODS.has(request.method)) return refuse({ kind: 'method-not-allowed', allow: STREAM_METHODS })
  if (parsed.kind === 'invalid') return refuse({ kind: 'invalid-path', detail: parsed.detail })
  const refusal = identity && refusalOfRequest(identity, request, parsed.path, streamRoot)
  if (refusal !== undefined) return refuse(refusal)
  const routes = context.routes()
  if (routes === undefined) return stillStarting()
  return serveStream(routes, { wire: request, path: parsed.path, query, identity })
}

function stillStarting(): WireResponse {
  return refuse({ kind: 'busy', detail: 'The server is still starting: try again.' })
}

/** Control routes name their error in `error` as well, where clients of these routes look for it (2.6). */
function refuseControl(path: string): WireResponse {
  const detail = `There is no control route ${CONTROL_SEGMENT}/${path} on this server.`
  const problem = toProblem({ kind: 'route-not-found', detail })
  return respondWithProblem(problem, { error: { code: problem.code, message: detail } })
}

function serveHealth(context: WireContext, request: WireRequest, path: string): WireResponse {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return refuse({ kind: 'method-not-allowed', allow: HEALTH_METHODS })
  }
  const unready = path === '/readyz' ? whyUnready(context) : undefined
  if (unready !== undefined) return refuse({ kind: 'busy', detail: unready })
  const headers = [
    'Content-Type',
    'text/plain; charset=utf-8',
    'Cache-Control',
    'no-store',
    'Content-Length',
    '3',
  ]
  return { status: 200, headers, body: OK_BODY }
}

function whyUnready(context: WireContext): string | undefined {
  const routes = context.routes()
  if (routes === undefined || context.isDraining()) return 'The server is still starting, or about to stop.'
  return routes.engine.refusesWrites()
}

const INTERNAL: Problem = {
  status: 500,
  type: '/errors/internal',
  title: 'Internal Error',
  code: 'INTERNAL_ERROR',
  detail: 'The server could not complete the request; its log says why.',
  headers: [],
}

/** Tells which bytes are damaged, so that a reader can go on behind them; the fault's message says no more. */
function damaged({ message }: Fault): Problem {
  const what = 'Other bytes can still be read; millrace verify lists all damage.'
  return {
    status: 500,
    type: '/errors/stored-data-damaged',
    title: 'Stored Data Damaged',
    code: 'STORED_DATA_DAMAGED',
    detail: `${message} ${what}`,
    headers: [],
  }
}

/**
 * A failure on this side says nothing about its cause to the client, but whether it is worth trying again; damage of
 * what was asked for is named.
 */
export function respondToFailure(error: unknown, writesRefused: string | undefined): WireResponse {
  if (error instanceof Fault && error.code === 'corrupt') return respondWithProblem(damaged(error))
  const isPassing =
    error instanceof Fault && (error.code === 'unavailable' || error.code === 'unknown-outcome')
  if (!isPassing) return respondWithProblem(INTERNAL)
  return refuse({
    kind: 'busy',
    detail: writesRefused ?? 'The store could not confirm the request: try again.',
  })
}
