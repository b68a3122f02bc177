/** How the stream commands end when something is wrong: a sentence for people, an exit code for scripts. */
import { StaleEpochError } from '@millrace/client'

/** Exit codes of the stream commands. */
export const STREAM_EXIT: Readonly<
  Record<
    'ok' | 'other' | 'usage' | 'notFound' | 'conflict' | 'refused' | 'unreachable' | 'interrupted',
    number
  >
> = {
  ok: 0,
  other: 1,
  usage: 2,
  notFound: 3,
  conflict: 4,
  refused: 5,
  unreachable: 6,
  interrupted: 130,
}

/** For `--help`. */
export const STREAM_EXIT_HELP: string = `
Exit codes:
  0  done; also when the reader of a pipe has gone
  1  any other failure
  2  the command line or the input can't be used as it is
  3  there is no such stream, or it is deleted
  4  conflict: the stream is closed, or exists with other settings
  5  unauthorised or forbidden
  6  the server can't be reached
  130  interrupted (Ctrl-C) before everything was done`

/** Ends a command with a sentence and an exit code. */
export class CommandFailure extends Error {
  override readonly name: string = 'CommandFailure'
  readonly exitCode: number

  constructor(message: string, exitCode: number) {
    super(message)
    this.exitCode = exitCode
  }
}

/** The command line or the input can't be used: nothing, or nothing more, was sent. */
export function usageFailure(message: string): CommandFailure {
  return new CommandFailure(message, STREAM_EXIT.usage)
}

/** No answer came from the server. */
export class Unreachable extends Error {
  override readonly name: string = 'Unreachable'
  /** What the platform called it. */
  readonly code: string

  constructor(cause: unknown) {
    super('The server can not be reached', { cause })
    this.code = networkCode(cause) ?? innermostMessage(cause)
  }
}

/** What a sentence about a failure needs to know. */
export interface FailedOn {
  /** The stream as the user called it. */
  readonly name: string
  /** Where it is. */
  readonly url: string
}

/** There is nothing to work on. */
export function noSuchStream({ name, url }: FailedOn): CommandFailure {
  // All of the URL: a root that is missing from it is seen there.
  const { origin, pathname } = new URL(url)
  return new CommandFailure(
    `There is no stream ${name} at ${origin}${pathname}. To create it: millrace create ${shellWord(name)}`,
    STREAM_EXIT.notFound,
  )
}

/** The failure that an error of the client stands for; undefined for an error that is none of its kinds. */
export function toFailure(error: unknown, on: FailedOn): CommandFailure | undefined {
  if (error instanceof CommandFailure) return error
  if (isUnreachable(error)) return new CommandFailure(unreachable(error, on), STREAM_EXIT.unreachable)
  if (error instanceof StaleEpochError) {
    return new CommandFailure(
      `Another writer has used this producer id in a higher epoch: choose another --producer-id.`,
      STREAM_EXIT.conflict,
    )
  }
  if (!(error instanceof Error)) return undefined
  const [sentence, exitCode] = answered(error, on)
  return new CommandFailure(sentence, exitCode)
}

function answered(error: Error, on: FailedOn): readonly [sentence: string, exitCode: number] {
  const { name, url } = on
  const said = serverText(error)
  const { origin } = new URL(url)
  switch (fieldOf(error, 'code')) {
    case 'NOT_FOUND':
      return [isNoRoute(error) ? wrongRoot(said) : noSuchStream(on).message, STREAM_EXIT.notFound]
    case 'GONE':
      return [`The stream ${name} is gone: ${said}`, STREAM_EXIT.notFound]
    case 'STREAM_CLOSED':
      return [`The stream ${name} is closed: nothing can be appended to it any more.`, STREAM_EXIT.conflict]
    case 'UNAUTHORIZED':
      return [
        `${origin} wants to know who you are: pass --auth, or set MILLRACE_AUTH. ${said}`,
        STREAM_EXIT.refused,
      ]
    case 'FORBIDDEN':
      return [`${origin} does not allow this: ${said}`, STREAM_EXIT.refused]
    case 'BAD_REQUEST':
      return [said, STREAM_EXIT.usage]
    case 'CONFLICT_EXISTS':
    case 'CONFLICT_SEQ':
      return [`${name}: ${said}`, STREAM_EXIT.conflict]
    default:
      return [said, error.name === 'SequenceGapError' ? STREAM_EXIT.conflict : STREAM_EXIT.other]
  }
}

/** Millrace's own answer to a URL at which no stream can be; about a stream that is missing it says so. */
export function isNoRoute(error: unknown): boolean {
  return fieldOf(fieldOf(error, 'details'), 'title') === 'Not Found'
}

function wrongRoot(said: string): string {
  return `${said} Name the root of the streams with --url or MILLRACE_URL, such as http://127.0.0.1:4437/v1/stream.`
}

/** What the server said about it, or else the error itself. */
function serverText(error: Error): string {
  const details = fieldOf(error, 'details')
  const detail = fieldOf(details, 'detail') ?? fieldOf(details, 'title') ?? details
  const status = fieldOf(error, 'status')
  if (typeof detail === 'string' && detail !== '') return `${detail.slice(0, 500)} (HTTP ${status})`
  return typeof status === 'number' ? `the server answered ${status}` : error.message
}

function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}

function unreachable({ code }: { readonly code: string }, { url }: FailedOn): string {
  const { origin, hostname } = new URL(url)
  if (['ENOTFOUND', 'EAI_AGAIN'].includes(code)) {
    return `There is no host ${hostname}: check --url, MILLRACE_URL or STREAM_URL.`
  }
  if (['ECONNREFUSED', 'ConnectionRefused'].includes(code)) {
    return `No server listens at ${origin}: start one with millrace serve, or name another with --url or MILLRACE_URL.`
  }
  return `The server at ${origin} can't be reached (${code}): check that it runs, and --url or MILLRACE_URL.`
}

/** Codes of Node and Bun. */
const NETWORK_CODE = /^(ECONN|ETIMEDOUT|EHOST|ENET|ENOTFOUND|EAI_|UND_ERR|Connection|FailedToOpen)/

function isUnreachable(error: unknown): error is Error & { readonly code: string } {
  if (error instanceof Unreachable) return true
  // A body that breaks off, or an answer that never comes, is thrown by the platform itself.
  return error instanceof Error && NETWORK_CODE.test(networkCode(error) ?? '')
}

function networkCode(error: unknown): string | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    const code = fieldOf(at, 'code')
    if (typeof code === 'string') return code
  }
  return undefined
}

/** Some refusals of the platform, such as that of a port that is not for HTTP, have no code. */
function innermostMessage(error: unknown): string {
  let message = 'no connection'
  for (let at = error; at instanceof Error; at = at.cause) message = at.message
  return message
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined
}
