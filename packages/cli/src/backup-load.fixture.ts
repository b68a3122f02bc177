/** Clients that create, append, fork, close and delete without a pause; what a stream holds follows from its name. */
import { randomBytes } from 'node:crypto'

const TEXT = { 'content-type': 'text/plain' }
const JSON_TYPE = { 'content-type': 'application/json' }

/** What an append of a number adds to a text stream. */
export function pieceOf(path: string, n: number): string {
  return `${path}:${n}:${'x'.repeat(n % 97)};`
}

/** The first bytes of a text stream. */
export function textOf(path: string, bytes: number): string {
  let text = ''
  for (let n = 0; text.length < bytes; n++) text += pieceOf(path, n)
  return text.slice(0, bytes)
}

/** Requests to the streams of a server. */
export class StreamClient {
  readonly #url: string

  constructor(url: string) {
    this.#url = url
  }

  send(
    method: string,
    path: string,
    headers: Record<string, string> = {},
    body?: string | Buffer,
  ): Promise<Response> {
    return fetch(`${this.#url}/v1/stream/${path}`, { method, headers, ...(body !== undefined && { body }) })
  }

  /** All of a stream, however many reads that takes; `undefined` if it does not exist. */
  async textOf(path: string): Promise<string | undefined> {
    let text = ''
    for (let offset = '-1'; ; ) {
      const response = await this.send('GET', `${path}?offset=${offset}`)
      if (response.status === 404) return undefined
      if (!response.ok) throw new Error(`a read was answered ${response.status}`)
      text += await response.text()
      offset = response.headers.get('stream-next-offset') ?? ''
      if (response.headers.get('stream-up-to-date') === 'true') return text
    }
  }
}

/** A load on a server, and what is known of it. */
export class BackupLoad {
  /** Every path that was ever sent in a PUT. */
  readonly paths: Set<string> = new Set()
  /** Bytes acknowledged by each text stream that lives as long as the load. */
  readonly acknowledged: Map<string, number> = new Map()
  readonly #client: StreamClient
  readonly #clients: Promise<void>[] = []
  #isOver = false

  constructor(url: string) {
    this.#client = new StreamClient(url)
  }

  /** Enough bytes that a copy takes a while. */
  async fill(streams: number, bytes: number): Promise<void> {
    for (let i = 0; i < streams; i++) {
      await this.#expect('PUT', `filled/${i}`, TEXT, randomBytes(bytes / 2).toString('hex'))
    }
  }

  start(): void {
    for (let i = 0; i < 3; i++) this.#clients.push(this.#appendText(`text/${i}`))
    for (let i = 0; i < 2; i++) this.#clients.push(this.#produce(`produced/${i}`))
    this.#clients.push(this.#fork(), this.#closeAndDelete())
  }

  /** Resolves when every client has had its last answer; rejects if one of them met what it did not expect. */
  async stop(): Promise<void> {
    this.#isOver = true
    await Promise.all(this.#clients)
  }

  async #appendText(path: string): Promise<void> {
    await this.#expect('PUT', path, TEXT)
    let bytes = 0
    for (let n = 0; !this.#isOver; n++) {
      const piece = pieceOf(path, n)
      await this.#expect('POST', path, TEXT, piece)
      bytes += piece.length
      this.acknowledged.set(path, bytes)
    }
  }

  async #produce(path: string): Promise<void> {
    await this.#expect('PUT', path, JSON_TYPE)
    for (let n = 0; !this.#isOver; n++) {
      const producer = { 'producer-id': 'p', 'producer-epoch': '0', 'producer-seq': String(n) }
      await this.#expect('POST', path, { ...JSON_TYPE, ...producer }, JSON.stringify({ n }))
    }
  }

  async #fork(): Promise<void> {
    await this.#expect('PUT', 'fork/source', TEXT, 'from the source;')
    for (let n = 0; !this.#isOver; n++) {
      await this.#expect('PUT', `fork/${n}`, { ...TEXT, 'stream-forked-from': '/v1/stream/fork/source' })
      await this.#expect('POST', `fork/${n}`, TEXT, `own ${n};`)
      await this.#expect('POST', 'fork/source', TEXT, `source ${n};`)
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  async #closeAndDelete(): Promise<void> {
    for (let n = 0; !this.#isOver; n++) {
      await this.#expect('PUT', `closed/${n}`, TEXT, pieceOf(`closed/${n}`, 0))
      await this.#expect('POST', `closed/${n}`, { 'stream-closed': 'true' })
      await this.#expect('PUT', `doomed/${n}`, TEXT, pieceOf(`doomed/${n}`, 0))
      if (n >= 5) await this.#expect('DELETE', `doomed/${n - 5}`)
    }
  }

  async #expect(
    method: string,
    path: string,
    headers: Record<string, string> = {},
    body?: string,
  ): Promise<void> {
    if (method === 'PUT') this.paths.add(path)
    const response = await this.#client.send(method, path, headers, body)
    await response.arrayBuffer()
    if (!response.ok) throw new Error(`${method} ${path} was answered ${response.status}`)
  }
}
