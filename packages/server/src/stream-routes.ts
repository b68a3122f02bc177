/** The operations on one stream URL: parse, run, respond. Every rule is elsewhere; this is the wiring. */
import type { Engine, Entropy } from '@millrace/engine'
import {
  nextCursor,
  type Outcome,
  parseAppend,
  parseCreate,
  parseQuery,
  parseRead,
  type ReadRequest,
  type Rejection,
  respondToHead,
  respondToRead,
  respondToWrite,
  respondWithProblem,
  type StreamPath,
  sseHeaders,
  streamId,
  toProblem,
  type WireRequest,
  type WireResponse,
} from '@millrace/protocol'
import type { Identity } from './auth-guard.ts'
import { isPublic } from './auth-operations.ts'
import type { HandlerSettings } from './options.ts'
import { sseBody } from './sse-body.ts'

/** What the routes need besides the request. */
export interface RouteContext {
  readonly engine: Engine
  readonly settings: HandlerSettings
  readonly entropy: Entropy
  nowMs(): number
}

/** A request on a stream URL, located. */
export interface StreamRequest {
  readonly wire: WireRequest
  readonly path: StreamPath
  readonly query: string
  /** Who asks, and is allowed to; `undefined` where everybody is. */
  readonly identity: Identity | undefined
}

/** A refusal as a response. */
export function refuse(rejection: Rejection): WireResponse {
  return respondWithProblem(toProblem(rejection))
}

/** Nothing can be answered: the client went away before its request was complete. */
export const CLIENT_GONE: WireResponse = { status: 499, headers: [], body: undefined }

/** PUT, POST, DELETE, HEAD or GET; anything else was answered before. */
export function serveStream(context: RouteContext, request: StreamRequest): Promise<WireResponse> {
  switch (request.wire.method) {
    case 'POST':
      return append(context, request)
    case 'GET':
      return read(context, request)
    case 'PUT':
      return create(context, request)
    case 'HEAD':
      return head(context, request)
    default:
      return remove(context, request)
  }
}

async function append(context: RouteContext, { wire, path }: StreamRequest): Promise<WireResponse> {
  const body = await receiveBody(context, wire)
  if (!(body instanceof Uint8Array)) return body
  const parsed = parseAppend(path, wire.header, body)
  if ('rejection' in parsed) return refuse(parsed.rejection)
  return respondToWrite(await context.engine.append(parsed.command), '')
}

async function create(context: RouteContext, { wire, path }: StreamRequest): Promise<WireResponse> {
  const { settings, entropy, engine } = context
  const misnamed = refuseName(settings, path)
  if (misnamed !== undefined) return refuse(misnamed)
  const body = await receiveBody(context, wire)
  if (!(body instanceof Uint8Array)) return body
  const id = streamId(entropy.uniqueId())
  const parsed = parseCreate({ path, id, streamRoot: settings.streamRoot }, wire.header, body)
  if ('rejection' in parsed) return refuse(parsed.rejection)
  const outcome: Outcome = await engine.create(parsed.command)
  const authority = settings.publicUrl ?? settings.proxy?.originOf(wire) ?? originOf(wire)
  return respondToWrite(outcome, `${authority}${settings.streamRoot}${path}`)
}

function originOf({ scheme, header }: WireRequest): string {
  return `${scheme}://${header('host') ?? 'localhost'}`
}

/** Only new streams have to keep to it: whoever lowers the limit still reaches those that are there. */
function refuseName(settings: HandlerSettings, path: StreamPath): Rejection | undefined {
  const { maxStreamNameBytes, maxStreamNameSegments } = settings
  if (path.length > maxStreamNameBytes) {
    return invalidPath(`The path of a new stream has at most ${maxStreamNameBytes} bytes on this server.`)
  }
  if (path.split('/').length > maxStreamNameSegments) {
    return invalidPath(
      `The path of a new stream has at most ${maxStreamNameSegments} segments on this server.`,
    )
  }
  return undefined
}

function invalidPath(detail: string): Rejection {
  return { kind: 'invalid-path', detail }
}

/** The whole body, or the answer to a request whose body cannot be used. */
async function receiveBody(context: RouteContext, wire: WireRequest): Promise<Uint8Array | WireResponse> {
  const encoding = wire.header('content-encoding')
  if (encoding !== undefined && encoding !== '' && encoding.toLowerCase() !== 'identity') {
    return refuse({ kind: 'unsupported-encoding', encoding })
  }
  const coding = wire.header('transfer-encoding')
  if (coding !== undefined && coding.toLowerCase() !== 'chunked') {
    return refuse({ kind: 'unsupported-encoding', encoding: coding })
  }
  const limitBytes = context.settings.maxBodyBytes
  const received = wire.readBody(limitBytes, context.settings.receivingRoom)
  const body = received instanceof Promise ? await received : received
  if (body === 'too-large') return refuse({ kind: 'payload-too-large', limitBytes })
  if (body === 'no-room') return refuse({ kind: 'busy', detail: RECEIVING_TOO_MUCH })
  return body === 'aborted' ? CLIENT_GONE : body
}

const RECEIVING_TOO_MUCH = 'The server is receiving as many bytes as it has room for: try again.'

async function remove(context: RouteContext, { path }: StreamRequest): Promise<WireResponse> {
  return respondToWrite(await context.engine.remove(path), '')
}

async function head(context: RouteContext, { path }: StreamRequest): Promise<WireResponse> {
  const found = await context.engine.head(path)
  return found.kind === 'found' ? respondToHead(found.state) : refuse(found.rejection)
}

async function read(context: RouteContext, request: StreamRequest): Promise<WireResponse> {
  const parsed = parseRead(parseQuery(request.query))
  if ('rejection' in parsed) {
    // Existence is checked first: a missing stream is 404 whatever the query says (3.2).
    const found = await context.engine.head(request.path)
    return refuse(found.kind === 'rejected' ? found.rejection : parsed.rejection)
  }
  const { identity, path } = request
  const reading: Reading = {
    request: parsed.request,
    path,
    ifNoneMatch: request.wire.header('if-none-match'),
    cacheScope: identity === undefined || isPublic(identity, path) ? 'public' : 'private',
    leftMs: leftMs(identity, context.nowMs()),
    onAborted: (listener) => request.wire.onAborted(listener),
  }
  const response = await serveReading(context, reading)
  if (identity === undefined || reading.cacheScope === 'public') return response
  // The browser that keeps an answer may be used by somebody else next.
  return { ...response, headers: [...response.headers, 'Vary', identity.varyBy] }
}

/** A read that is allowed. */
interface Reading {
  readonly request: ReadRequest
  readonly path: StreamPath
  readonly ifNoneMatch: string | undefined
  /** Whether shared caches may keep the answer. */
  readonly cacheScope: 'public' | 'private'
  /** How long the reader may go on. */
  readonly leftMs: number
  onAborted(listener: () => void): void
}

function leftMs(identity: Identity | undefined, nowMs: number): number {
  if (identity?.expiresAtMs === undefined) return Number.POSITIVE_INFINITY
  return Math.max(1, identity.expiresAtMs - nowMs)
}

function serveReading(context: RouteContext, reading: Reading): Promise<WireResponse> {
  switch (reading.request.mode) {
    case 'catch-up':
      return catchUp(context, reading)
    case 'long-poll':
      return longPoll(context, reading)
    case 'sse':
      return follow(context, reading)
  }
}

async function catchUp(context: RouteContext, reading: Reading): Promise<WireResponse> {
  const { path, request, ifNoneMatch, cacheScope } = reading
  const result = await context.engine.read(path, request.start)
  if (result.kind === 'rejected') return refuse(result.rejection)
  const { slice } = result
  return respondToRead({ request, slice, cursor: undefined, ifNoneMatch, nowMs: context.nowMs(), cacheScope })
}

async function longPoll(context: RouteContext, reading: Reading): Promise<WireResponse> {
  const { engine, settings, entropy } = context
  const { path, request, cacheScope, onAborted } = reading
  const waitMs = Math.min(settings.longPollTimeoutMs, reading.leftMs)
  const result = await engine.poll(path, request.start, { waitMs, onAborted })
  if (result.kind === 'rejected') return refuse(result.rejection)
  if (result.kind === 'aborted') return CLIENT_GONE
  const nowMs = context.nowMs()
  const cursor = nextCursor(request.cursor, nowMs, entropy.random)
  const { slice } = result
  return respondToRead({ request, slice, cursor, ifNoneMatch: undefined, nowMs, cacheScope })
}

async function follow(context: RouteContext, reading: Reading): Promise<WireResponse> {
  const { engine, settings, entropy } = context
  const { request, cacheScope } = reading
  const following = await engine.follow(reading.path, request.start)
  if (following.kind === 'rejected') return refuse(following.rejection)
  const body = sseBody(following, {
    follow: {
      lifetimeMs: lifetimeMs(settings.sseReconnectIntervalMs, reading.leftMs),
      heartbeatMs: settings.sseHeartbeatIntervalMs,
    },
    cursor: request.cursor,
    nowMs: context.nowMs,
    random: entropy.random,
    onError: settings.onError,
  })
  return { status: 200, headers: sseHeaders(following.state, request, cacheScope), body }
}

/** 0 is for ever. */
function lifetimeMs(reconnectIntervalMs: number, leftMs: number): number {
  const least = Math.min(reconnectIntervalMs === 0 ? Number.POSITIVE_INFINITY : reconnectIntervalMs, leftMs)
  return least === Number.POSITIVE_INFINITY ? 0 : least
}
