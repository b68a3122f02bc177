/**
 * Stream requests in their plainest form: request text, and the few whole exchanges that scenarios need
 * around their measured part. Every unexpected status is an error.
 */
import { type Exchange, HttpConnection, type Origin } from './http-connection.ts'
import type { ResponseHead } from './http-response-parser.ts'

export type Headers = Readonly<Record<string, string>>

export function streamPath(name: string): string {
  return `/v1/stream/${name}`
}

/** The head of a request with its empty line; the body follows directly. */
export function requestHead(
  origin: Origin,
  method: string,
  path: string,
  headers: Headers = {},
  bodyBytes?: number,
): string {
  let text = `${method} ${path} HTTP/1.1\r\nHost: ${origin.authority}\r\n`
  for (const [name, value] of Object.entries(headers)) text += `${name}: ${value}\r\n`
  if (bodyBytes !== undefined) text += `Content-Length: ${bodyBytes}\r\n`
  return `${text}\r\n`
}

/** A whole request with a body of ASCII text. */
export function requestText(
  origin: Origin,
  method: string,
  path: string,
  headers: Headers = {},
  body?: string,
): string {
  return requestHead(origin, method, path, headers, body?.length) + (body ?? '')
}

export class UnexpectedStatus extends Error {
  readonly code = 'UNEXPECTED_STATUS'

  constructor(what: string, answer: Exchange) {
    super(`${what} was answered ${answer.status}: ${answer.body.toString('utf8').slice(0, 200)}`)
  }
}

export async function createStream(
  connection: HttpConnection,
  path: string,
  contentType: string,
): Promise<void> {
  const answer = await connection.exchange(
    requestHead(connection.origin, 'PUT', path, { 'Content-Type': contentType }, 0),
  )
  if (answer.status !== 201) throw new UnexpectedStatus(`PUT ${path}`, answer)
}

export async function deleteStream(connection: HttpConnection, path: string): Promise<void> {
  const answer = await connection.exchange(requestHead(connection.origin, 'DELETE', path))
  if (answer.status !== 204) throw new UnexpectedStatus(`DELETE ${path}`, answer)
}

export async function appendBytes(connection: HttpConnection, path: string, body: Buffer): Promise<void> {
  const headers = { 'Content-Type': 'application/octet-stream' }
  const head = requestHead(connection.origin, 'POST', path, headers, body.length)
  const answer = await connection.exchange(Buffer.concat([Buffer.from(head, 'latin1'), body]))
  if (answer.status !== 204) throw new UnexpectedStatus(`POST ${path}`, answer)
}

/** Calls `work` for each item over a few connections at a time. */
export async function forEachOver<T>(
  origin: Origin,
  items: readonly T[],
  work: (connection: HttpConnection, item: T, index: number) => Promise<void>,
  connections = 16,
): Promise<void> {
  const waiting = items.entries()
  const lane = async (): Promise<void> => {
    const connection = new HttpConnection(origin)
    try {
      for (const [index, item] of waiting) await work(connection, item, index)
    } finally {
      connection.abort()
    }
  }
  await Promise.all(Array.from({ length: Math.min(connections, items.length) }, lane))
}

export interface StreamReadListener {
  /** `bytes` is only valid during the call. */
  onBytes(bytes: Buffer): void
  onResponseEnd(): void
}

/** Reads one response of a catch-up read; the offset to go on from, or undefined at the tail. */
function readOnce(
  connection: HttpConnection,
  path: string,
  offset: string,
  listener: StreamReadListener,
): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    let head: ResponseHead | undefined
    connection.send(requestHead(connection.origin, 'GET', `${path}?offset=${offset}`), {
      onHead: (received) => {
        head = received
      },
      onBody: (bytes) => {
        if (head?.status === 200) listener.onBytes(bytes)
      },
      onEnd: () => {
        listener.onResponseEnd()
        const next = head?.header('stream-next-offset')
        if (head?.status !== 200) reject(new Error(`GET ${path} at ${offset} was answered ${head?.status}`))
        else if (next === undefined) reject(new Error(`GET ${path}: no Stream-Next-Offset`))
        else resolve(head.header('stream-up-to-date') === 'true' ? undefined : next)
      },
      onFailure: reject,
    })
  })
}

/** Reads a stream from its start to its tail; the number of responses it took. */
export async function readStream(
  connection: HttpConnection,
  path: string,
  listener: StreamReadListener,
): Promise<number> {
  let offset = '-1'
  for (let responses = 1; ; responses += 1) {
    const next = await readOnce(connection, path, offset, listener)
    if (next === undefined) return responses
    if (next <= offset && offset !== '-1') throw new Error(`GET ${path}: offset ${next} follows ${offset}`)
    offset = next
  }
}
