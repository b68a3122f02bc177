/** Which stream a command is about, and as whom: names, URLs, flags and the environment. */
import { usageFailure } from './stream-failure.ts'

/** Where streams are unless somebody says otherwise. */
export const DEFAULT_URL = 'http://127.0.0.1:4437/v1/stream'

/** The flags that every stream command has. */
export interface TargetFlags {
  readonly url?: string
  readonly auth?: string
}

/** Environment variables by name. */
export type Variables = Readonly<Record<string, string | undefined>>

/** One stream, and the right to use it. */
export interface StreamTarget {
  /** As the user called it. */
  readonly name: string
  readonly url: string
  /** Value of the Authorization header. */
  readonly auth: string | undefined
  /** What to tell the user before anything is done. */
  readonly notes: readonly string[]
}

interface Setting {
  readonly value: string
  readonly from: string
}

/** Puts a stream's URL and credentials together. Throws a usage failure for what can't work; takes no network. */
export function targetOf(name: string, flags: TargetFlags, variables: Variables): StreamTarget {
  const base = firstOf(flags.url, '--url', variables, 'URL')
  const url = isUrl(name)
    ? absolute(name, 'The stream')
    : `${baseUrl(base ?? { value: DEFAULT_URL, from: '--url' })}/${encodeName(name)}`
  const auth = firstOf(flags.auth, '--auth', variables, 'AUTH')
  if (auth === undefined) return { name, url, auth: undefined, notes: [] }
  const value = authValue(auth)
  if (auth.from !== '--auth' && base !== undefined && !isSameOrigin(url, baseUrl(base))) {
    const notes = [
      `${auth.from} is for ${new URL(base.value).origin} and is not sent to ${new URL(url).origin}: pass --auth if it should be.`,
    ]
    return { name, url, auth: undefined, notes }
  }
  return { name, url, auth: value, notes: schemeNotes(value, auth.from) }
}

/** The path by which a server knows a stream, such as `/v1/stream/orders/42`. */
export function pathOf({ url }: StreamTarget): string {
  return new URL(url).pathname
}

/** A name becomes a path: each segment is percent-encoded once, slashes stay. */
export function encodeName(name: string): string {
  const segments = name.split('/')
  if (name === '') throw usageFailure('The stream has no name: write one such as orders/42.')
  if (segments.includes('')) {
    throw usageFailure(
      `The stream name ${quoted(name)} has an empty part: write it without a slash at its beginning or end, or two in a row.`,
    )
  }
  if (segments.includes('.') || segments.includes('..')) {
    throw usageFailure(`The stream name ${quoted(name)} has a part "." or "..", which no stream can have.`)
  }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it is control characters that no name can have
  if (/[\u0000-\u001f\u007f]/.test(name)) {
    throw usageFailure(`The stream name ${quoted(name)} has a control character: leave it out.`)
  }
  return segments.map(encodeURIComponent).join('/')
}

function firstOf(
  flag: string | undefined,
  flagName: string,
  variables: Variables,
  suffix: 'URL' | 'AUTH',
): Setting | undefined {
  if (flag !== undefined) return { value: flag, from: flagName }
  for (const from of [`MILLRACE_${suffix}`, `STREAM_${suffix}`]) {
    const value = variables[from]
    // Set to nothing counts as not set, as for other variables of the shell.
    if (value !== undefined && value !== '') return { value, from }
  }
  return undefined
}

function isUrl(name: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(name)
}

function baseUrl({ value, from }: Setting): string {
  const url = absolute(value, from)
  const { search, hash } = new URL(url)
  if (search !== '' || hash !== '') {
    throw usageFailure(
      `${from} has a query or a fragment: write only the root of the streams, as ${DEFAULT_URL}.`,
    )
  }
  return url.replace(/[/?#]+$/, '')
}

/** The URL itself is not quoted where it may hold a password. */
function absolute(text: string, from: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !['http:', 'https:'].includes(url.protocol)) {
    throw usageFailure(`${from} is not an http or https URL: write one such as ${DEFAULT_URL}.`)
  }
  if (url.username !== '' || url.password !== '') {
    throw usageFailure(
      `${from} holds a user or a password: put "Basic ..." in --auth or MILLRACE_AUTH instead.`,
    )
  }
  return url.href
}

/** The value is never part of a message. */
function authValue({ value, from }: Setting): string {
  const trimmed = value.trim()
  if (trimmed === '')
    throw usageFailure(`${from} is empty: write a value such as "Bearer <token>", or leave it out.`)
  if (/[^\t\x20-\x7e]/.test(trimmed)) {
    throw usageFailure(
      `${from} has a character that no header can carry, such as a line end: check how it was copied.`,
    )
  }
  return trimmed
}

function schemeNotes(auth: string, from: string): readonly string[] {
  if (auth.includes(' ')) return []
  return [`${from} has no scheme: most servers want "Bearer <token>". It is sent as it is.`]
}

function isSameOrigin(one: string, other: string): boolean {
  return new URL(one).origin === new URL(other).origin
}

function quoted(text: string): string {
  return JSON.stringify(text)
}
