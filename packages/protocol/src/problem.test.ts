import { describe, expect, it } from 'vitest'
import { formatOffset } from './offset.ts'
import { toProblem } from './problem.ts'
import type { Rejection } from './rejection.ts'
import type { HeaderList } from './wire.ts'

const detail = 'What to send instead.'

type Answers = {
  readonly [Kind in Rejection['kind']]: readonly [
    rejection: Extract<Rejection, { kind: Kind }>,
    status: number,
    code: string,
    headers?: HeaderList,
  ]
}

/** What a rejection of each kind tells, and the status, the code and the protocol headers of its answer. */
const answers: Answers = {
  'bad-request': [{ kind: 'bad-request', detail }, 400, 'BAD_REQUEST'],
  'invalid-path': [{ kind: 'invalid-path', detail }, 400, 'INVALID_STREAM_NAME'],
  'invalid-offset': [{ kind: 'invalid-offset', detail }, 400, 'INVALID_OFFSET'],
  'empty-body': [{ kind: 'empty-body' }, 400, 'EMPTY_BODY'],
  'empty-array': [{ kind: 'empty-array' }, 400, 'EMPTY_ARRAY'],
  'invalid-json': [{ kind: 'invalid-json', detail }, 400, 'INVALID_JSON'],
  'origin-refused': [{ kind: 'origin-refused', detail }, 403, 'ORIGIN_REFUSED'],
  'offset-lost': [{ kind: 'offset-lost', resumeAt: formatOffset(12, 0) }, 410, 'OFFSET_LOST'],
  'producer-fenced': [
    { kind: 'producer-fenced', epoch: 7 },
    403,
    'PRODUCER_EPOCH_FENCED',
    ['Producer-Epoch', '7'],
  ],
  'not-found': [{ kind: 'not-found' }, 404, 'NOT_FOUND'],
  'route-not-found': [{ kind: 'route-not-found', detail }, 404, 'NOT_FOUND'],
  'fork-source-not-found': [{ kind: 'fork-source-not-found' }, 404, 'NOT_FOUND'],
  'method-not-allowed': [
    { kind: 'method-not-allowed', allow: 'GET, HEAD' },
    405,
    'METHOD_NOT_ALLOWED',
    ['Allow', 'GET, HEAD'],
  ],
  'already-exists': [{ kind: 'already-exists', detail }, 409, 'ALREADY_EXISTS'],
  'path-blocked': [{ kind: 'path-blocked' }, 409, 'PATH_BLOCKED'],
  'fork-from-tombstone': [{ kind: 'fork-from-tombstone' }, 409, 'FORK_FROM_TOMBSTONE'],
  'content-type-mismatch': [
    { kind: 'content-type-mismatch', expected: 'text/plain', received: 'a/b' },
    409,
    'CONTENT_TYPE_MISMATCH',
  ],
  'stream-closed': [
    { kind: 'stream-closed', next: formatOffset(12, 0) },
    409,
    'STREAM_CLOSED',
    ['Stream-Closed', 'true', 'Stream-Next-Offset', '0000000000000000_0000000000000012'],
  ],
  'stream-seq-conflict': [{ kind: 'stream-seq-conflict', last: 'b' }, 409, 'SEQUENCE_CONFLICT'],
  'producer-gap': [
    { kind: 'producer-gap', expected: 3, received: 9 },
    409,
    'SEQUENCE_CONFLICT',
    ['Producer-Expected-Seq', '3', 'Producer-Received-Seq', '9'],
  ],
  'too-many-producers': [{ kind: 'too-many-producers', limit: 10_000 }, 409, 'TOO_MANY_PRODUCERS'],
  gone: [{ kind: 'gone' }, 410, 'GONE'],
  'payload-too-large': [{ kind: 'payload-too-large', limitBytes: 1024 }, 413, 'PAYLOAD_TOO_LARGE'],
  'unsupported-encoding': [{ kind: 'unsupported-encoding', encoding: 'br' }, 415, 'UNSUPPORTED_ENCODING'],
  'host-refused': [{ kind: 'host-refused', detail }, 421, 'HOST_REFUSED'],
  'rate-limited': [{ kind: 'rate-limited', retryAfterSeconds: 5 }, 429, 'RATE_LIMITED', ['Retry-After', '5']],
  unauthenticated: [
    { kind: 'unauthenticated', detail, isTokenWrong: true },
    401,
    'UNAUTHORIZED',
    ['WWW-Authenticate', 'Bearer realm="millrace", error="invalid_token"'],
  ],
  forbidden: [
    { kind: 'forbidden', detail },
    403,
    'FORBIDDEN',
    ['WWW-Authenticate', 'Bearer realm="millrace", error="insufficient_scope"'],
  ],
  busy: [{ kind: 'busy', detail }, 503, 'UNAVAILABLE', ['Retry-After', '1']],
  'stream-too-large': [{ kind: 'stream-too-large', limitBytes: 1024 }, 413, 'PAYLOAD_TOO_LARGE'],
  'no-room': [{ kind: 'no-room', detail }, 507, 'INSUFFICIENT_STORAGE'],
}

const cases = Object.values(answers).map(([rejection, status, code, headers = []]) => {
  return { rejection, status, code, headers, problem: toProblem(rejection) }
})

describe('the answer to a rejection', () => {
  it.each(cases)(
    'R-019: of kind $rejection.kind is $status $code',
    ({ rejection, status, code, headers }) => {
      expect(toProblem(rejection)).toEqual({
        status,
        code,
        type: expect.stringMatching(/^\/errors\/[a-z]+(?:-[a-z]+)*$/),
        title: expect.stringMatching(/^[A-Z]/),
        detail: expect.stringMatching(/\S/),
        headers,
      })
    },
  )

  it('has one type for each code', () => {
    const pairs = new Set(cases.map(({ code, problem }) => `${code} ${problem.type}`))
    expect(pairs.size).toBe(new Set(cases.map(({ code }) => code)).size)
  })

  it.each([
    ['NOT_FOUND', '/errors/not-found'],
    ['ALREADY_EXISTS', '/errors/already-exists'],
    ['INVALID_OFFSET', '/errors/invalid-offset'],
    ['CONTENT_TYPE_MISMATCH', '/errors/content-type-mismatch'],
    ['STREAM_CLOSED', '/errors/stream-closed'],
    ['SEQUENCE_CONFLICT', '/errors/sequence-conflict'],
    ['PRODUCER_EPOCH_FENCED', '/errors/producer-epoch-fenced'],
    ['BAD_REQUEST', '/errors/bad-request'],
    ['INVALID_JSON', '/errors/invalid-json'],
    ['EMPTY_BODY', '/errors/empty-body'],
    ['EMPTY_ARRAY', '/errors/empty-array'],
    ['PAYLOAD_TOO_LARGE', '/errors/payload-too-large'],
    ['INVALID_STREAM_NAME', '/errors/invalid-stream-name'],
    ['UNAVAILABLE', '/errors/unavailable'],
    ['INSUFFICIENT_STORAGE', '/errors/insufficient-storage'],
    ['GONE', '/errors/gone'],
    ['PATH_BLOCKED', '/errors/path-blocked'],
    ['FORK_FROM_TOMBSTONE', '/errors/fork-from-tombstone'],
  ])('keeps the type that programs know: %s is %s', (code, type) => {
    const types = cases.filter((one) => one.code === code).map(({ problem }) => problem.type)
    expect(new Set(types)).toEqual(new Set([type]))
  })

  it('says what was expected and what came', () => {
    const mismatch = toProblem({ kind: 'content-type-mismatch', expected: 'text/plain', received: 'a/b' })
    expect(mismatch.detail).toBe(
      'The stream holds text/plain, and this is a/b: send Content-Type: text/plain.',
    )
    expect(toProblem({ kind: 'producer-gap', expected: 3, received: 9 }).detail).toBe(
      'This producer goes on with Producer-Seq 3, not 9: send what is missing first.',
    )
  })

  it('R-078: of a content type mismatch does not say that the stream is closed', () => {
    const mismatch = toProblem({ kind: 'content-type-mismatch', expected: 'text/plain', received: 'a/b' })
    expect(mismatch.headers).not.toContain('Stream-Closed')
  })
})
