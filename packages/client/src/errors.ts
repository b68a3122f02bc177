/** All errors of this package. What came of an HTTP answer is both a `FetchError` and a `DurableStreamError`. */
import { type HttpFailure, readFailure } from './http-failure.ts'

/** What went wrong, for programs. `UNKNOWN` is everything that has no code of its own, also an aborted request. */
export type DurableStreamErrorCode =
  | 'NOT_FOUND'
  | 'GONE'
  | 'CONFLICT_SEQ'
  | 'CONFLICT_EXISTS'
  | 'BAD_REQUEST'
  | 'BUSY'
  | 'SSE_NOT_SUPPORTED'
  | 'UNAUTHORIZED'
  | 'FORBIDDEN'
  | 'RATE_LIMITED'
  | 'ALREADY_CONSUMED'
  | 'ALREADY_CLOSED'
  | 'PARSE_ERROR'
  | 'MISSING_HEADERS'
  | 'NO_PROGRESS'
  | 'STREAM_CLOSED'
  | 'BUFFER_FULL'
  | 'UNKNOWN'

/** Marks the errors of other classes that also carry everything of a `FetchError`. */
const HTTP_FIELDS = Symbol('fields of a FetchError')

/**
 * An HTTP request that failed for good. `instanceof DurableStreamError` holds for it, too. The message names the
 * status, the URL and what the server said.
 */
export class FetchError extends Error {
  override readonly name: string = 'FetchError'
  /** The requested URL. */
  url: string
  /** HTTP status of the answer. */
  status: number
  /** Body of the answer, unless it was JSON. */
  text?: string
  /** Body of the answer, where it was JSON. */
  json?: object
  /** Header fields of the answer by lower-case name. */
  headers: Record<string, string>
  /** What went wrong, for programs. */
  code: DurableStreamErrorCode
  /** What the server said: the JSON or the text of its answer. */
  details?: unknown

  constructor(
    status: number,
    text: string | undefined,
    json: object | undefined,
    headers: Record<string, string>,
    url: string,
    message?: string,
  ) {
    const failure: HttpFailure = { status, text, json, headers, url }
    super(message ?? describeFailure(failure))
    this.code = codeOf(failure)
    this.status = status
    this.headers = headers
    this.url = url
    setOptionalFields(this, failure)
  }

  /** The error for an answer; reads its body, and copes with one that is absent, consumed or not what it says. */
  static async fromResponse(response: Response, url: string): Promise<FetchError> {
    const { status, text, json, headers } = await readFailure(response, url)
    return new FetchError(status, text, json, headers, url)
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    // biome-ignore lint/complexity/noThisInStatic: a subclass inherits this and must not match all HTTP failures
    return isFetchError(this, value)
  }
}

/** A request was aborted while it, or the wait before its retry, was under way. */
export class FetchBackoffAbortError extends Error {
  override readonly name: string = 'FetchBackoffAbortError'

  constructor() {
    super('The request was aborted')
  }
}

/** A failed operation with a code for programs, and the HTTP status where there was an answer. */
export class DurableStreamError extends Error {
  override readonly name: string = 'DurableStreamError'
  /** What went wrong, for programs. */
  code: DurableStreamErrorCode
  /** HTTP status of the answer. */
  status?: number
  /** More about it, such as what the server said. */
  details?: unknown

  constructor(message: string, code: DurableStreamErrorCode, status?: number, details?: unknown) {
    super(message)
    this.code = code
    if (status !== undefined) this.status = status
    if (details !== undefined) this.details = details
  }

  /** The error for an answer; a 409 with `Stream-Closed: true` gives a `StreamClosedError`. */
  static async fromResponse(response: Response, url: string): Promise<DurableStreamError> {
    return fromFailure(await readFailure(response, url))
  }

  /** The same failure under this class. */
  static fromFetchError(error: FetchError): DurableStreamError {
    const { status, text, json, headers, url } = error
    return fromFailure({ status, text, json, headers, url })
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    // biome-ignore lint/complexity/noThisInStatic: a subclass inherits this and must not match all HTTP failures
    return isDurableStreamError(this, value)
  }
}

/** The stream is closed: nothing can be appended to it any more. */
export class StreamClosedError extends DurableStreamError {
  override readonly name: string = 'StreamClosedError'
  declare readonly code: 'STREAM_CLOSED'
  declare readonly status: 409
  readonly streamClosed = true as const
  /** The offset of the stream's end, where the server said it. */
  readonly finalOffset?: string

  constructor(url?: string, finalOffset?: string) {
    const which = url === undefined ? 'The stream' : `The stream ${url}`
    super(`${which} is closed: nothing can be appended to it any more`, 'STREAM_CLOSED', 409)
    if (finalOffset !== undefined) this.finalOffset = finalOffset
  }
}

/** Another producer with the same id has taken over under a higher epoch. */
export class StaleEpochError extends Error {
  override readonly name: string = 'StaleEpochError'
  /** The epoch that the server holds. */
  readonly currentEpoch: number

  constructor(currentEpoch: number) {
    super(
      `The producer's epoch is stale: the server holds epoch ${currentEpoch}. ` +
        'Another producer with this id has taken over; use autoClaim or a higher epoch to take it back',
    )
    this.currentEpoch = currentEpoch
  }
}

/** The server lacks batches that this producer does not have any more, so that its order can't be kept. */
export class SequenceGapError extends Error {
  override readonly name: string = 'SequenceGapError'
  /** The batch number that the server waits for. */
  readonly expectedSeq: number
  /** The batch number that it was sent. */
  readonly receivedSeq: number

  constructor(expectedSeq: number, receivedSeq: number) {
    super(`The server expects batch ${expectedSeq} of this producer but received batch ${receivedSeq}`)
    this.expectedSeq = expectedSeq
    this.receivedSeq = receivedSeq
  }
}

/** A handle was made without a URL. */
export class MissingStreamUrlError extends Error {
  override readonly name: string = 'MissingStreamUrlError'

  constructor() {
    super('The stream has no URL: pass the url option')
  }
}

/** The `signal` option is not an `AbortSignal`. */
export class InvalidSignalError extends Error {
  override readonly name: string = 'InvalidSignalError'

  constructor() {
    super('The signal option is not an AbortSignal')
  }
}

/**
 * The error for an answer to a request with a method; reads its body. It passes `instanceof` for both `FetchError` and
 * `DurableStreamError`, and for `StreamClosedError` when the stream is closed.
 */
export async function errorOfResponse(
  response: Response,
  url: string,
  method: string,
): Promise<FetchError | StreamClosedError> {
  const failure = await readFailure(response, url, method)
  if (isClosedConflict(failure)) return closedError(failure)
  const error = new FetchError(failure.status, failure.text, failure.json, failure.headers, url)
  if (failure.status === 409 && method === 'PUT') error.code = 'CONFLICT_EXISTS'
  return error
}

function fromFailure(failure: HttpFailure): DurableStreamError {
  if (isClosedConflict(failure)) return closedError(failure)
  const error = new DurableStreamError(describeFailure(failure), codeOf(failure), failure.status)
  return withHttpFields(error, failure)
}

function closedError(failure: HttpFailure): StreamClosedError {
  return withHttpFields(
    new StreamClosedError(failure.url, failure.headers['stream-next-offset'] ?? undefined),
    failure,
  )
}

function withHttpFields<E extends DurableStreamError>(error: E, failure: HttpFailure): E {
  Object.assign(error, { url: failure.url, headers: failure.headers })
  Object.defineProperty(error, HTTP_FIELDS, { value: true })
  setOptionalFields(error, failure)
  return error
}

function setOptionalFields(
  error: { text?: string; json?: object; details?: unknown },
  { text, json }: HttpFailure,
): void {
  if (text !== undefined) error.text = text
  if (json !== undefined) error.json = json
  if ((json ?? text) !== undefined) error.details = json ?? text
}

function isClosedConflict({ status, headers }: HttpFailure): boolean {
  return status === 409 && headers['stream-closed']?.trim().toLowerCase() === 'true'
}

const CODES: Readonly<Record<number, DurableStreamErrorCode>> = {
  400: 'BAD_REQUEST',
  401: 'UNAUTHORIZED',
  403: 'FORBIDDEN',
  404: 'NOT_FOUND',
  409: 'CONFLICT_SEQ',
  410: 'GONE',
  429: 'RATE_LIMITED',
  503: 'BUSY',
}

function codeOf(failure: HttpFailure): DurableStreamErrorCode {
  return isClosedConflict(failure) ? 'STREAM_CLOSED' : (CODES[failure.status] ?? 'UNKNOWN')
}

const QUOTED_CHARACTERS = 500

function describeFailure({ status, text, json, url }: HttpFailure): string {
  const said = text ?? (json === undefined ? '' : JSON.stringify(json))
  return `HTTP ${status} at ${url}${said === '' ? '' : `: ${said.slice(0, QUOTED_CHARACTERS)}`}`
}

function isFetchError(type: object, value: unknown): boolean {
  if (isPlainInstance(type, value)) return true
  return type === FetchError && value instanceof Error && HTTP_FIELDS in value
}

function isDurableStreamError(type: object, value: unknown): boolean {
  return isPlainInstance(type, value) || (type === DurableStreamError && isPlainInstance(FetchError, value))
}

/** What `instanceof` says without `Symbol.hasInstance`. */
function isPlainInstance(type: object, value: unknown): boolean {
  return Function.prototype[Symbol.hasInstance].call(type as () => void, value)
}
