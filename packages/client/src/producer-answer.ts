/** What an HTTP answer, or its absence, tells an idempotent producer. */
import {
  PRODUCER_EPOCH_HEADER,
  PRODUCER_EXPECTED_SEQ_HEADER,
  PRODUCER_RECEIVED_SEQ_HEADER,
  PRODUCER_SEQ_HEADER,
  STREAM_CLOSED_HEADER,
} from './constants.ts'
import { drainBody } from './drain-body.ts'
import { DurableStreamError, errorOfResponse } from './errors.ts'
import type { ProducerAnswer } from './producer-state.ts'
import { parseRetryAfterHeader } from './retry-delay.ts'

/** What an answer has to be judged by. */
export interface JudgedRequest {
  readonly url: string
  readonly seq: number
  /** A close without a message. */
  readonly isBareClose: boolean
  /** What an older producer of the same id and epoch stands in the way of can be done under a new epoch. */
  readonly mayClaim: boolean
}

/** Judges an answer; reads its body. */
export async function judgeResponse(
  response: Response,
  { url, seq, isBareClose, mayClaim }: JudgedRequest,
): Promise<ProducerAnswer> {
  const { status, ok, headers } = response
  if (ok) {
    await drainBody(response)
    // To a close without a message 204 is the usual answer; as a duplicate of a batch it would leave the stream open.
    if (status !== 204 || (isBareClose && isClosed(headers))) return { kind: 'stored' }
    if (isBareClose && !mayClaim)
      return { kind: 'refused', error: new DurableStreamError(NOT_CLOSED, 'CONFLICT_SEQ') }
    return { kind: 'duplicate', highestSeq: numberIn(headers, PRODUCER_SEQ_HEADER) }
  }
  const retryAfterMs = parseRetryAfterHeader(headers.get('retry-after'), Date.now())
  const error = await errorOfResponse(response, url, 'POST')
  // A gateway answers 5xx for a server that may have done its work; only 429 says that nothing was done.
  if (status === 429 || status >= 500) {
    return { kind: 'unavailable', error, mayBeStored: status !== 429, retryAfterMs }
  }
  const epoch = numberIn(headers, PRODUCER_EPOCH_HEADER)
  if (status === 403 && epoch !== undefined) return { kind: 'fenced', epoch }
  const expectedSeq = numberIn(headers, PRODUCER_EXPECTED_SEQ_HEADER)
  if (status !== 409 || isClosed(headers) || expectedSeq === undefined) return { kind: 'refused', error }
  return { kind: 'gap', expectedSeq, receivedSeq: numberIn(headers, PRODUCER_RECEIVED_SEQ_HEADER) ?? seq }
}

const NOT_CLOSED =
  'The stream is still open: an older producer of this id and epoch had used the number of the close for a batch. ' +
  'Close the stream itself, or give the producer another id or epoch'

/** What `fetch` threw, as an answer: the request may have been served all the same, unless no connection was made. */
export function judgeNetworkFailure(error: unknown): ProducerAnswer {
  const failure = error instanceof Error ? error : new Error(String(error))
  return {
    kind: 'unavailable',
    error: failure,
    mayBeStored: !isUnconnected(failure),
    retryAfterMs: 0,
  }
}

/** Codes of Node and Bun; browsers do not tell, and then nothing is assumed. */
const UNCONNECTED: ReadonlySet<unknown> = new Set([
  'ECONNREFUSED',
  'ConnectionRefused',
  'ENOTFOUND',
  'EAI_AGAIN',
  'UND_ERR_CONNECT_TIMEOUT',
])

function isUnconnected(error: Error): boolean {
  return UNCONNECTED.has(codeOf(error)) || UNCONNECTED.has(codeOf(error.cause))
}

function codeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined
}

function isClosed(headers: Headers): boolean {
  return headers.get(STREAM_CLOSED_HEADER)?.trim().toLowerCase() === 'true'
}

function numberIn(headers: Headers, name: string): number | undefined {
  const text = headers.get(name)?.trim() ?? ''
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined
}
