/** `GET <admin>/streams`: the streams of the server, page by page, in bytewise order of their paths. */
import type { Engine } from '@millrace/engine'
import {
  PROTOCOL_LIMITS,
  parseStreamPath,
  type StreamPath,
  type WireRequest,
  type WireResponse,
} from '@millrace/protocol'
import { refuse } from './stream-routes.ts'

/** Streams on a page at most, and unless the request says otherwise. */
export const MOST_LISTED = 1000
const USUALLY_LISTED = 100

/** Answers below the admin path; `rest` is what follows it. */
export async function serveListing(
  engine: Engine,
  request: WireRequest,
  adminPath: string,
  rest: string,
  query: string,
): Promise<WireResponse> {
  const listing = `${adminPath}/streams`
  if (rest !== '/streams') {
    return refuse({ kind: 'route-not-found', detail: `Below ${adminPath} there is ${listing} only.` })
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return refuse({ kind: 'method-not-allowed', allow: 'GET, HEAD' })
  }
  const page = parsePage(query)
  if (typeof page === 'string') return refuse({ kind: 'bad-request', detail: page })
  // One more than is shown, to know whether another page follows.
  const found = await engine.list(page.prefix, page.after, page.limit + 1)
  const streams = found.slice(0, page.limit)
  const last = found.length > page.limit ? streams.at(-1) : undefined
  return json({ streams, next: last ? `${listing}?${nextQuery(page, last.path)}` : null })
}

interface Page {
  readonly prefix: string
  readonly after: StreamPath | undefined
  readonly limit: number
}

/** What is asked for, or what is wrong with it. */
function parsePage(query: string): Page | string {
  const asked = new URLSearchParams(query)
  const limit = asked.get('limit') ?? String(USUALLY_LISTED)
  if (!/^[0-9]{1,4}$/.test(limit) || Number(limit) < 1 || Number(limit) > MOST_LISTED) {
    return `limit must be a whole number from 1 to ${MOST_LISTED}.`
  }
  const after = asked.get('after')
  const parsed = after === null ? undefined : parseStreamPath(after)
  if (parsed !== undefined && parsed.kind !== 'stream') return 'after must be the path of a stream.'
  const prefix = asked.get('prefix') ?? ''
  if (!/^[\x21-\x7e]*$/.test(prefix) || prefix.length > PROTOCOL_LIMITS.maxPathBytes) {
    return 'prefix must be the beginning of a path as it is written in URLs.'
  }
  return { prefix, after: parsed?.path, limit: Number(limit) }
}

function nextQuery({ prefix, limit }: Page, after: string): string {
  return new URLSearchParams({ ...(prefix !== '' && { prefix }), after, limit: String(limit) }).toString()
}

function json(value: unknown): WireResponse {
  const body = new TextEncoder().encode(`${JSON.stringify(value)}\n`)
  const headers = ['Content-Type', 'application/json', 'Cache-Control', 'no-store']
  return { status: 200, headers: [...headers, 'Content-Length', String(body.length)], body }
}
