/** What the tests of this package share: a server on a free port, and clients that see every byte it answers. */
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { memoryStorage } from '@millrace/engine'
import { createServer, type MillraceServer, type ServerOptions } from './create-server.ts'

/** The two ways into the handler: over TCP through `node:http`, or with a `Request` given to `handler.fetch`. */
export const ADAPTERS = ['node', 'fetch'] as const
export type Adapter = (typeof ADAPTERS)[number]

/** A list of values is sent as that many fields of one name. */
export type SendHeaders = Readonly<Record<string, string | readonly string[]>>

export interface SendOptions {
  readonly headers?: SendHeaders
  readonly body?: string | Uint8Array
}

/** A complete answer. */
export interface Reply {
  readonly status: number
  readonly headers: Headers
  readonly bytes: Uint8Array
  /** The bytes as UTF-8. */
  readonly text: string
  json(): unknown
}

/** Sends one request and receives the whole answer. The path is sent as given. */
export type Send = (method: string, path: string, options?: SendOptions) => Promise<Reply>

export interface TestServer {
  readonly url: string
  readonly port: number
  readonly server: MillraceServer
  /** Failures that the server reported; a test that expects none looks here. */
  readonly errors: readonly unknown[]
  readonly request: Send
  /** The same through one adapter. */
  via(adapter: Adapter): Send
  openSse(path: string, adapter?: Adapter): Promise<SseReader>
  /** Resolves once the server has this many live readers: they wait, or they are gone. */
  untilReaders(count: number): Promise<void>
  close(): Promise<void>
}

/** Starts a server on loopback with an empty memory store. The caller closes it. */
export async function startTestServer(options: Partial<ServerOptions> = {}): Promise<TestServer> {
  const errors: unknown[] = []
  const server = await createServer({
    storage: memoryStorage(),
    port: 0,
    longPollTimeoutMs: 300,
    shutdownGraceMs: 1000,
    onError: (error) => errors.push(error),
    ...options,
  })
  const agent = new Agent({ keepAlive: true })
  const overTcp: Send = (method, path, sent) => sendOverTcp(agent, server.port, method, path, sent)
  const overFetch: Send = (method, path, sent) => sendToFetch(server, method, path, sent)
  return {
    url: server.url,
    port: server.port,
    server,
    errors,
    request: overTcp,
    via: (adapter) => (adapter === 'node' ? overTcp : overFetch),
    openSse: (path, adapter = 'node') =>
      adapter === 'node' ? openSse(server.url + path) : openFetchSse(server, path),
    async untilReaders(count) {
      while (server.statistics()?.readers !== count) await pause()
    },
    async close() {
      agent.destroy()
      await server.close()
    },
  }
}

/** Lets everything that can go on go on. */
function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 2))
}

/** Requests to any server on loopback, each on a connection of its own. */
export function requestsTo(port: number): Send {
  const agent = new Agent({ keepAlive: false })
  return (method, path, sent) => sendOverTcp(agent, port, method, path, sent)
}

function sendOverTcp(
  agent: Agent,
  port: number,
  method: string,
  path: string,
  { headers = {}, body }: SendOptions = {},
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const options = { agent, host: '127.0.0.1', port, method, path }
    const outgoing = httpRequest(options, (incoming) => {
      const chunks: Buffer[] = []
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
      incoming.on('error', reject)
      incoming.on('end', () => {
        resolve(toReply(incoming.statusCode ?? 0, headersOf(incoming), Buffer.concat(chunks)))
      })
    })
    outgoing.on('error', reject)
    for (const [name, value] of Object.entries(headers)) {
      outgoing.setHeader(name, typeof value === 'string' ? value : [...value])
    }
    // As bytes, for together with a string Node would write the head as UTF-8, too.
    outgoing.end(body === undefined ? undefined : Buffer.from(body))
  })
}

async function sendToFetch(
  server: MillraceServer,
  method: string,
  path: string,
  { headers = {}, body }: SendOptions = {},
): Promise<Reply> {
  const given = new Headers()
  for (const [name, value] of Object.entries(headers)) {
    for (const one of typeof value === 'string' ? [value] : value) given.append(name, one)
  }
  // As bytes, for to a string the platform would add a Content-Type.
  const init = { method, headers: given, ...(body !== undefined && { body: Buffer.from(body) }) }
  const response = await server.handler.fetch(new Request(server.url + path, init))
  return toReply(response.status, response.headers, new Uint8Array(await response.arrayBuffer()))
}

function toReply(status: number, headers: Headers, bytes: Uint8Array): Reply {
  const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes)
  return { status, headers, bytes, text, json: (): unknown => JSON.parse(text) }
}

/** The members of a JSON object; of anything else, none. */
export function membersOf(json: unknown): ReadonlyMap<string, unknown> {
  return new Map(typeof json === 'object' && json !== null ? Object.entries(json) : [])
}

function headersOf(incoming: IncomingMessage): Headers {
  const headers = new Headers()
  const { rawHeaders } = incoming
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    headers.append(rawHeaders[i] ?? '', rawHeaders[i + 1] ?? '')
  }
  return headers
}

/** One block of an SSE body, up to and including its empty line. */
export interface SseEvent {
  /** The value of `event:`; `comment` for a block that has only comments. */
  readonly kind: string
  /** The `data:` lines as a client sees them: one leading space gone, joined by LF. */
  readonly data: string
  readonly raw: Uint8Array
}

/** Opens an SSE response over TCP; resolves when its head has arrived. */
export function openSse(url: string, headers: SendHeaders = {}): Promise<SseReader> {
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest(url, { agent: false }, (incoming) => {
      const abort = (): void => {
        outgoing.destroy()
      }
      resolve(new SseReader(incoming.statusCode ?? 0, headersOf(incoming), incoming, abort))
    })
    // Once the head is here this changes nothing: the reader itself notices a broken connection.
    outgoing.on('error', reject)
    for (const [name, value] of Object.entries(headers)) {
      outgoing.setHeader(name, typeof value === 'string' ? value : [...value])
    }
    outgoing.end()
  })
}

async function openFetchSse(server: MillraceServer, path: string): Promise<SseReader> {
  const response = await server.handler.fetch(new Request(server.url + path))
  if (response.body === null) throw new Error(`${path} was answered ${response.status} without a body`)
  const reader = response.body.getReader()
  const abort = (): void => {
    reader.cancel().catch(() => undefined)
  }
  return new SseReader(response.status, response.headers, chunksOf(reader), abort)
}

async function* chunksOf(reader: ReadableStreamDefaultReader<Uint8Array>): AsyncIterable<Uint8Array> {
  for (;;) {
    const { value } = await reader.read()
    if (value === undefined) return
    yield value
  }
}

/** Takes in an SSE body as it arrives. Events wait here until they are asked for. */
export class SseReader {
  readonly status: number
  readonly headers: Headers
  /** Settles when the body is over: `complete` if the server ended it, `broken` if the connection did. */
  readonly ended: Promise<'complete' | 'broken'>
  readonly #abort: () => void
  readonly #events: SseEvent[] = []
  readonly #chunks: Uint8Array[] = []
  #unparsed = Buffer.alloc(0)
  #waiting: (() => void)[] = []
  #isOver = false

  constructor(status: number, headers: Headers, source: AsyncIterable<Uint8Array>, abort: () => void) {
    this.status = status
    this.headers = headers
    this.#abort = abort
    this.ended = this.#receive(source)
  }

  /** The next event, or `undefined` when the body is over. */
  async next(): Promise<SseEvent | undefined> {
    for (;;) {
      const event = this.#events.shift()
      if (event !== undefined || this.#isOver) return event
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
  }

  /** The next events, fewer if the body is over before. */
  async take(count: number): Promise<readonly SseEvent[]> {
    const events: SseEvent[] = []
    while (events.length < count) {
      const event = await this.next()
      if (event === undefined) break
      events.push(event)
    }
    return events
  }

  /** All events that were not asked for yet, up to the end of the body. */
  rest(): Promise<readonly SseEvent[]> {
    return this.take(Number.POSITIVE_INFINITY)
  }

  /** Every byte of the body so far. */
  bytes(): Uint8Array {
    return Buffer.concat(this.#chunks)
  }

  /** Goes away, as a client that closes its connection does. */
  abort(): void {
    this.#abort()
  }

  async #receive(source: AsyncIterable<Uint8Array>): Promise<'complete' | 'broken'> {
    try {
      for await (const chunk of source) this.#take(chunk)
      return 'complete'
    } catch {
      // Whatever broke the body off, `broken` is all there is to know.
      return 'broken'
    } finally {
      this.#isOver = true
      this.#wake()
    }
  }

  #take(chunk: Uint8Array): void {
    this.#chunks.push(chunk)
    this.#unparsed = Buffer.concat([this.#unparsed, chunk])
    for (let end = this.#unparsed.indexOf('\n\n'); end >= 0; end = this.#unparsed.indexOf('\n\n')) {
      this.#events.push(toEvent(this.#unparsed.subarray(0, end + 2)))
      this.#unparsed = this.#unparsed.subarray(end + 2)
    }
    this.#wake()
  }

  #wake(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const wake of waiting) wake()
  }
}

function toEvent(raw: Buffer): SseEvent {
  let kind = 'comment'
  const data: string[] = []
  for (const line of raw.toString('utf8').slice(0, -2).split('\n')) {
    const [, name, value = ''] = /^([^:]*):? ?(.*)$/s.exec(line) ?? []
    if (name === 'event') kind = value
    if (name === 'data') data.push(value)
  }
  return { kind, data: data.join('\n'), raw }
}

/** What came back over a bare socket until it was closed. */
export interface RawAnswer {
  /** Every byte, as latin1. */
  readonly text: string
  /** The complete answers in it, in order. A body that HEAD leaves out is not waited for. */
  readonly replies: readonly Reply[]
}

export interface RawOptions {
  /**
   * Once all is written: `wait` for the server to close the connection (the default); `end` this side of it, then
   * wait; or `leave` without another look.
   */
  readonly afterwards?: 'wait' | 'end' | 'leave'
}

/** A server that says nothing and keeps the connection open for this long has forgotten about it. */
const QUIET_MS = 4000

/**
 * Writes bytes to a bare socket, each piece by itself, and collects what comes back until the connection is over.
 * Rejects if that does not happen: well-formed requests end with one that says `Connection: close`.
 */
export function rawExchange(
  port: number,
  bytes: string | Uint8Array | readonly (string | Uint8Array)[],
  { afterwards = 'wait' }: RawOptions = {},
): Promise<RawAnswer> {
  const pieces = typeof bytes === 'string' || bytes instanceof Uint8Array ? [bytes] : bytes
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    const socket = connect({ host: '127.0.0.1', port, noDelay: true })
    socket.on('data', (chunk) => chunks.push(chunk))
    // A reset is one way of being closed; what arrived before it counts.
    socket.on('error', () => undefined)
    socket.on('close', () => {
      const received = Buffer.concat(chunks)
      resolve({ text: received.toString('latin1'), replies: parseReplies(received) })
    })
    socket.setTimeout(QUIET_MS, () => {
      reject(new Error(`no end of the connection after: ${Buffer.concat(chunks).toString('latin1')}`))
      socket.destroy()
    })
    const writeFrom = (index: number): void => {
      const piece = pieces[index]
      if (piece !== undefined) {
        // The timer lets each piece arrive by itself.
        socket.write(toBytes(piece), () => pause().then(() => writeFrom(index + 1)))
      } else if (afterwards === 'leave') socket.resetAndDestroy()
      else if (afterwards === 'end') socket.end()
    }
    socket.on('connect', () => writeFrom(0))
  })
}

function toBytes(piece: string | Uint8Array): Uint8Array {
  return typeof piece === 'string' ? Buffer.from(piece, 'latin1') : piece
}

/** Cuts a connection's bytes into answers by their framing headers. */
export function parseReplies(received: Buffer): readonly Reply[] {
  const replies: Reply[] = []
  let at = 0
  for (;;) {
    const headEnd = received.indexOf('\r\n\r\n', at)
    if (headEnd < 0) return replies
    const [statusLine = '', ...fields] = received.toString('latin1', at, headEnd).split('\r\n')
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(statusLine)?.[1])
    const headers = new Headers()
    for (const field of fields) {
      const colon = field.indexOf(':')
      headers.append(field.slice(0, colon), field.slice(colon + 1).trim())
    }
    at = headEnd + 4
    if (headers.get('transfer-encoding') === 'chunked') {
      const end = received.indexOf('\r\n0\r\n\r\n', at - 2)
      const chunked = received.subarray(at, end < 0 ? received.length : end + 2)
      replies.push(toReply(status, headers, unchunked(chunked)))
      at = end < 0 ? received.length : end + 7
    } else {
      const hasBody = status >= 200 && status !== 204 && status !== 304
      const end = at + (hasBody ? Number(headers.get('content-length') ?? 0) : 0)
      replies.push(toReply(status, headers, received.subarray(at, end)))
      at = end
    }
  }
}

function unchunked(chunked: Buffer): Buffer {
  const chunks: Buffer[] = []
  for (let at = 0; at < chunked.length; ) {
    const lineEnd = chunked.indexOf('\r\n', at)
    const size = lineEnd < 0 ? Number.NaN : Number.parseInt(chunked.toString('latin1', at, lineEnd), 16)
    if (Number.isNaN(size)) break
    chunks.push(chunked.subarray(lineEnd + 2, lineEnd + 2 + size))
    at = lineEnd + 4 + size
  }
  return Buffer.concat(chunks)
}
