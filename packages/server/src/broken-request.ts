/** Requests that never reach the handler: what they are told, in the form of all other refusals. */

/** Why a request cannot be handled. */
export interface BrokenRequest {
  /** Number and phrase. */
  readonly status: string
  readonly code: string
  readonly detail: string
}

/** The head or body cannot be parsed. */
export const BROKEN: BrokenRequest = {
  status: '400 Bad Request',
  code: 'BAD_REQUEST',
  detail: 'The request is not well-formed HTTP.',
}

/** The time for a request is over. */
export const TOO_LATE: BrokenRequest = {
  status: '408 Request Timeout',
  code: 'REQUEST_TIMEOUT',
  detail: 'The request did not arrive in time.',
}

/** An `Expect` other than the one there is. */
export const EXPECTATION: BrokenRequest = {
  status: '417 Expectation Failed',
  code: 'EXPECTATION_FAILED',
  detail: 'The only expectation that is met here is 100-continue.',
}

/** The head has more bytes than it may. */
export function headersTooLarge(maxHeaderBytes: number): BrokenRequest {
  const detail = `The request headers are larger than ${maxHeaderBytes} bytes.`
  return { status: '431 Request Header Fields Too Large', code: 'HEADERS_TOO_LARGE', detail }
}

/** The answer to a broken request. */
export function toAnswer({ status, code, detail }: BrokenRequest): {
  readonly status: number
  readonly body: string
  readonly headers: Readonly<Record<string, string>>
} {
  const type = `/errors/${code.toLowerCase().replaceAll('_', '-')}`
  const number = Number(status.slice(0, 3))
  const body = `${JSON.stringify({ type, title: status.slice(4), status: number, code, detail })}\n`
  const headers = {
    'Content-Type': 'application/problem+json',
    'Content-Length': String(Buffer.byteLength(body)),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    'Cross-Origin-Resource-Policy': 'same-site',
  }
  return { status: number, body, headers }
}
