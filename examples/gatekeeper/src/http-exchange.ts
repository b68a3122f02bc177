/** Requests and answers of the app: JSON in, JSON out, and one cookie. */
import type { IncomingMessage, ServerResponse } from 'node:http'

/** What is answered. */
export interface Answer {
  readonly status: number
  /** Sent as JSON; nothing for `undefined`. */
  readonly body?: unknown
  /** The session cookie to be set; an empty one takes it away. */
  readonly cookie?: { readonly value: string; readonly maxAgeSeconds: number }
}

/** The request is refused; the message is for whoever sent it. */
export class Refused extends Error {
  override readonly name = 'Refused'
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

const COOKIE_NAME = 'gatekeeper_session'
const COOKIE = new RegExp(`(?:^|; ?)${COOKIE_NAME}=([A-Za-z0-9_-]+)(?:;|$)`)
const MOST_BODY_BYTES = 16 * 1024

/** The session cookie; empty if there is none. */
export function cookieOf(request: IncomingMessage): string {
  return COOKIE.exec(request.headers.cookie ?? '')?.[1] ?? ''
}

/** Members of the JSON object in the body. Throws `Refused` for anything else. */
export async function readFields(request: IncomingMessage): Promise<Readonly<Record<string, unknown>>> {
  // Forms of other sites cannot send it without being asked first.
  if (!/^application\/json *(;|$)/i.test(request.headers['content-type'] ?? '')) {
    throw new Refused(415, 'Send JSON, as application/json.')
  }
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request) {
    size += chunk.length
    if (size <= MOST_BODY_BYTES) chunks.push(chunk)
  }
  if (size > MOST_BODY_BYTES) throw new Refused(413, 'That is too long.')
  return parseFields(Buffer.concat(chunks).toString('utf8'))
}

function parseFields(text: string): Readonly<Record<string, unknown>> {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    // Its message would quote the body, in which there may be a password.
    throw new Refused(400, 'That is not JSON.')
  }
  if (typeof parsed !== 'object' || parsed === null) throw new Refused(400, 'Send a JSON object.')
  return Object.fromEntries(Object.entries(parsed))
}

/** A member that is text; throws `Refused` if it is missing or not as it has to be. */
export function textField(
  fields: Readonly<Record<string, unknown>>,
  name: string,
  form: RegExp,
  rule: string,
): string {
  const value = fields[name]
  if (typeof value === 'string' && form.test(value)) return value
  throw new Refused(400, rule)
}

/** Nothing of it is kept by caches. With `isSecure` browsers send the cookie over https only. */
export function send(response: ServerResponse, { status, body, cookie }: Answer, isSecure: boolean): void {
  const attributes = `Path=/; HttpOnly; SameSite=Lax${isSecure ? '; Secure' : ''}`
  response.writeHead(status, {
    'Cache-Control': 'no-store',
    ...(body !== undefined && { 'Content-Type': 'application/json' }),
    ...(cookie && {
      'Set-Cookie': `${COOKIE_NAME}=${cookie.value}; Max-Age=${cookie.maxAgeSeconds}; ${attributes}`,
    }),
  })
  response.end(body === undefined ? undefined : JSON.stringify(body))
}
