/** Rejections as HTTP: the one exhaustive switch to status, type and code (RFC 9457, R-019). */
import type { Rejection } from './rejection.ts'
import type { HeaderList } from './wire.ts'

/** A problem document and the protocol headers that go with it. */
export interface Problem {
  readonly status: number
  /** Relative reference that names the kind of problem, such as `/errors/not-found`. */
  readonly type: string
  readonly title: string
  /** Stable, for programs. */
  readonly code: string
  /** For people; may change. */
  readonly detail: string
  readonly headers: HeaderList
}

function problem(
  status: number,
  type: string,
  code: string,
  title: string,
  detail: string,
  headers: HeaderList = [],
): Problem {
  return { status, type: `/errors/${type}`, title, code, detail, headers }
}

const RETRY_SOON: HeaderList = ['Retry-After', '1']

/** The problem document of a rejection. */
export function toProblem(rejection: Rejection): Problem {
  switch (rejection.kind) {
    case 'bad-request':
      return problem(400, 'bad-request', 'BAD_REQUEST', 'Bad Request', rejection.detail)
    case 'invalid-path':
      return problem(
        400,
        'invalid-stream-name',
        'INVALID_STREAM_NAME',
        'Invalid Stream Name',
        rejection.detail,
      )
    case 'invalid-offset':
      return problem(400, 'invalid-offset', 'INVALID_OFFSET', 'Invalid Offset', rejection.detail)
    case 'empty-body':
      return problem(400, 'empty-body', 'EMPTY_BODY', 'Empty Body', EMPTY_BODY)
    case 'empty-array':
      return problem(
        400,
        'empty-array',
        'EMPTY_ARRAY',
        'Empty Array',
        'An empty JSON array holds no message: put one into it, or more.',
      )
    case 'invalid-json':
      return problem(400, 'invalid-json', 'INVALID_JSON', 'Invalid JSON', rejection.detail)
    case 'not-found':
      return problem(404, 'not-found', 'NOT_FOUND', 'Stream Not Found', NOT_FOUND)
    case 'gone':
      return problem(410, 'gone', 'GONE', 'Stream Gone', GONE)
    case 'offset-lost': {
      const detail = `What the stream had up to this offset was lost: go on from ${rejection.resumeAt}, or read from -1.`
      return problem(410, 'offset-lost', 'OFFSET_LOST', 'Offset Lost', detail)
    }
    default:
      return toServerProblem(rejection)
  }
}

type ServerRejection = Exclude<
  Rejection,
  {
    kind:
      | 'bad-request'
      | 'invalid-path'
      | 'invalid-offset'
      | 'empty-body'
      | 'empty-array'
      | 'invalid-json'
      | 'not-found'
      | 'gone'
      | 'offset-lost'
  }
>

/** The refusals that depend on this server: its routes, its access rules and its limits. */
function toServerProblem(rejection: ServerRejection): Problem {
  switch (rejection.kind) {
    case 'origin-refused':
      return problem(403, 'origin-refused', 'ORIGIN_REFUSED', 'Origin Refused', rejection.detail)
    case 'unauthenticated':
    case 'forbidden':
      return toChallenge(rejection)
    case 'route-not-found':
      return problem(404, 'not-found', 'NOT_FOUND', 'Not Found', rejection.detail)
    case 'method-not-allowed': {
      const { allow } = rejection
      const detail = `This URL answers ${allow}.`
      return problem(405, 'method-not-allowed', 'METHOD_NOT_ALLOWED', 'Method Not Allowed', detail, [
        'Allow',
        allow,
      ])
    }
    case 'payload-too-large': {
      const detail = `The request body is larger than ${rejection.limitBytes} bytes, the limit of this server.`
      return problem(413, 'payload-too-large', 'PAYLOAD_TOO_LARGE', 'Payload Too Large', detail)
    }
    case 'stream-too-large': {
      const detail = `A stream holds at most ${rejection.limitBytes} bytes on this server: go on in another one.`
      return problem(413, 'payload-too-large', 'PAYLOAD_TOO_LARGE', 'Payload Too Large', detail)
    }
    case 'unsupported-encoding': {
      const detail = `A body in ${rejection.encoding} is not decoded here: send it as it is.`
      return problem(
        415,
        'unsupported-encoding',
        'UNSUPPORTED_ENCODING',
        'Unsupported Content Encoding',
        detail,
      )
    }
    case 'host-refused':
      return problem(421, 'host-refused', 'HOST_REFUSED', 'Misdirected Request', rejection.detail)
    case 'rate-limited': {
      const seconds = String(rejection.retryAfterSeconds)
      const detail = `This client sends more requests than it may: wait ${seconds} s.`
      return problem(429, 'rate-limited', 'RATE_LIMITED', 'Too Many Requests', detail, [
        'Retry-After',
        seconds,
      ])
    }
    case 'busy':
      return problem(503, 'unavailable', 'UNAVAILABLE', 'Service Unavailable', rejection.detail, RETRY_SOON)
    case 'no-room':
      return problem(
        507,
        'insufficient-storage',
        'INSUFFICIENT_STORAGE',
        'Insufficient Storage',
        rejection.detail,
      )
    default:
      return toConflict(rejection)
  }
}

/** The refusals of the guard, which say what credentials would help (RFC 6750, 3). */
function toChallenge(rejection: Extract<Rejection, { kind: 'unauthenticated' | 'forbidden' }>): Problem {
  const { detail } = rejection
  if (rejection.kind === 'forbidden') {
    const headers = ['WWW-Authenticate', `${BEARER}, error="insufficient_scope"`]
    return problem(403, 'forbidden', 'FORBIDDEN', 'Forbidden', detail, headers)
  }
  const headers = ['WWW-Authenticate', rejection.isTokenWrong ? `${BEARER}, error="invalid_token"` : BEARER]
  return problem(401, 'unauthorized', 'UNAUTHORIZED', 'Unauthorized', detail, headers)
}

const BEARER = 'Bearer realm="millrace"'

type Conflict = Exclude<
  ServerRejection,
  {
    kind:
      | 'origin-refused'
      | 'unauthenticated'
      | 'forbidden'
      | 'route-not-found'
      | 'method-not-allowed'
      | 'payload-too-large'
      | 'stream-too-large'
      | 'unsupported-encoding'
      | 'host-refused'
      | 'rate-limited'
      | 'busy'
      | 'no-room'
  }
>

/** The refusals that depend on the state of the stream. */
function toConflict(rejection: Conflict): Problem {
  switch (rejection.kind) {
    case 'producer-fenced': {
      const { epoch } = rejection
      const detail = `A producer with this id works in epoch ${epoch}; claim a higher epoch to take over.`
      const headers = ['Producer-Epoch', String(epoch)]
      return problem(
        403,
        'producer-epoch-fenced',
        'PRODUCER_EPOCH_FENCED',
        'Producer Fenced',
        detail,
        headers,
      )
    }
    case 'fork-source-not-found':
      return problem(404, 'not-found', 'NOT_FOUND', 'Fork Source Not Found', FORK_SOURCE_NOT_FOUND)
    case 'already-exists':
      return problem(409, 'already-exists', 'ALREADY_EXISTS', 'Stream Already Exists', rejection.detail)
    case 'path-blocked':
      return problem(409, 'path-blocked', 'PATH_BLOCKED', 'Path Blocked', PATH_BLOCKED)
    case 'fork-from-tombstone':
      return problem(
        409,
        'fork-from-tombstone',
        'FORK_FROM_TOMBSTONE',
        'Fork Source Deleted',
        FORK_FROM_TOMBSTONE,
      )
    case 'content-type-mismatch': {
      const { expected, received } = rejection
      const detail = `The stream holds ${expected}, and this is ${received}: send Content-Type: ${expected}.`
      return problem(409, 'content-type-mismatch', 'CONTENT_TYPE_MISMATCH', 'Content Type Mismatch', detail)
    }
    case 'stream-closed': {
      const headers = ['Stream-Closed', 'true', 'Stream-Next-Offset', rejection.next]
      return problem(409, 'stream-closed', 'STREAM_CLOSED', 'Stream Closed', STREAM_CLOSED, headers)
    }
    case 'stream-seq-conflict':
      return problem(409, 'sequence-conflict', 'SEQUENCE_CONFLICT', 'Sequence Conflict', SEQ_CONFLICT)
    case 'producer-gap': {
      const { expected, received } = rejection
      const detail = `This producer goes on with Producer-Seq ${expected}, not ${received}: send what is missing first.`
      const headers = ['Producer-Expected-Seq', String(expected), 'Producer-Received-Seq', String(received)]
      return problem(409, 'sequence-conflict', 'SEQUENCE_CONFLICT', 'Sequence Conflict', detail, headers)
    }
    case 'too-many-producers': {
      const detail = `The stream already remembers ${rejection.limit} producers, its limit: reuse Producer-Ids.`
      return problem(409, 'too-many-producers', 'TOO_MANY_PRODUCERS', 'Too Many Producers', detail)
    }
    default:
      return rejection satisfies never
  }
}

const EMPTY_BODY = 'The request has no body: send data, or Stream-Closed: true to close the stream.'
const NOT_FOUND = 'There is no stream at this URL, or it has expired: create it with PUT.'
const GONE = 'The stream was deleted; its data is kept only for the forks that still read it.'
const PATH_BLOCKED = 'A deleted stream holds this path until its last fork is deleted: use another path.'
const FORK_SOURCE_NOT_FOUND =
  'Stream-Forked-From names no stream of this server: give its full path, such as /v1/stream/orders/1.'
const FORK_FROM_TOMBSTONE = 'The source was deleted and is kept only for its forks: fork one of them.'
const STREAM_CLOSED = 'The stream is closed: nothing can be appended any more.'
const SEQ_CONFLICT = 'Stream-Seq must be greater, byte by byte, than the last accepted one.'
