/**
 * A client of the kill rounds: the only writer of its streams, one request at a time. What it does next is drawn
 * from its own random numbers; what it knows afterwards is its history, and at most one request without an answer.
 */
import {
  append,
  close,
  contentType,
  create,
  fork,
  type Message,
  type Operation,
  type Request,
  remove,
  type StreamFacts,
  type Style,
  type World,
} from './kill-history.fixture.ts'

/** Streams beyond this are deleted, and begun again at the same path. */
const MOST_MESSAGES = 300
const MOST_BYTES = 1024 * 1024
/** Bytes that one message adds at most. */
const LARGEST = 256 * 1024

/** An offset that the server gave out, and the number of messages before it. */
export interface KnownOffset {
  readonly count: number
  readonly offset: string
}

/** An answer that is no error of the connection. */
export interface Answer {
  readonly status: number
  readonly nextOffset: string | undefined
}

/** Sends a request; rejects if no answer comes. */
export async function send(url: string, { method, path, headers, body }: Request): Promise<Answer> {
  const response = await fetch(url + path, { method, headers, ...(body !== undefined && { body }) })
  const nextOffset = response.headers.get('stream-next-offset') ?? undefined
  await response.arrayBuffer()
  return { status: response.status, nextOffset }
}

/** One client and its history. */
export class KillClient {
  readonly path: string
  readonly forkPath: string
  readonly style: Style
  readonly random: () => number
  world: World = new Map()
  /** Sent, and not answered when the server died. */
  pending: Operation | undefined
  /** Offsets of the present incarnation of each path. */
  readonly offsets: Map<string, KnownOffset[]> = new Map()
  /** Answers that break a promise. */
  readonly violations: string[] = []
  /** How often each operation was acknowledged. */
  readonly done: Map<string, number> = new Map()
  #number = 0
  #incarnation = 0

  constructor(index: number, random: () => number) {
    const kind = (['json', 'json', 'binary', 'text'] as const)[index % 4] ?? 'json'
    this.style = { kind, usesProducer: index % 4 === 0 || index % 4 === 2 }
    this.path = `/v1/stream/kill/${index}`
    this.forkPath = `${this.path}/fork`
    this.random = random
  }

  /** One operation after the other until the server is gone; tells of each that was acknowledged. */
  async load(url: string, onDone: () => void): Promise<void> {
    for (;;) {
      const operation = this.#choose()
      this.pending = operation
      let answer: Answer
      try {
        answer = await send(url, operation.request)
      } catch {
        // The server was killed: whether it was done shows after the next start.
        return
      }
      // It is stopping, and says so: the request may have been too late.
      if (answer.status === 503) return
      if (answer.status !== operation.status) {
        this.violations.push(`${describe(operation)} was answered ${answer.status}`)
        return
      }
      this.settle(operation, answer.nextOffset)
      onDone()
    }
  }

  /** Takes an operation as done. */
  settle(operation: Operation, nextOffset: string | undefined): void {
    const { path } = operation.request
    const before = this.world.get(path)
    this.world = operation.after
    this.pending = undefined
    this.done.set(operation.name, (this.done.get(operation.name) ?? 0) + 1)
    const facts = this.world.get(path)
    if (facts?.incarnation !== before?.incarnation) this.offsets.set(path, [])
    if (facts !== undefined && nextOffset !== undefined) this.learn(path, facts, nextOffset)
  }

  /** Remembers what an offset means. */
  learn(path: string, facts: StreamFacts, offset: string): void {
    const known = this.offsets.get(path) ?? []
    const count = facts.messages.length
    if (known.at(-1)?.count !== count) known.push({ count, offset })
    this.offsets.set(path, known)
  }

  #choose(): Operation {
    const { world, path, forkPath, style, random } = this
    const main = world.get(path)
    if (main === undefined) {
      const messages = this.#messages(Math.floor(random() * 3))
      const closes = random() < 0.05
      return create(world, path, style.kind, messages, closes, ++this.#incarnation)
    }
    const isForked = world.has(forkPath)
    if (main.isHidden || (isForked && random() < 0.3)) return this.#chooseForFork()
    const start = this.#anyOffset(path)
    if (!isForked && start !== undefined && random() < 0.05) {
      return fork(world, path, forkPath, start, ++this.#incarnation)
    }
    const isLarge = main.messages.length > MOST_MESSAGES || sizeOf(main) > MOST_BYTES
    if (main.isClosed || isLarge || random() < 0.01) return remove(world, path, forkPath)
    return this.#chooseWrite(path)
  }

  #chooseForFork(): Operation {
    const { world, forkPath, random } = this
    const facts = world.get(forkPath)
    const isOver = facts === undefined || facts.isClosed || sizeOf(facts) > 2 * MOST_BYTES
    return isOver || random() < 0.15 ? remove(world, forkPath, forkPath) : this.#chooseWrite(forkPath)
  }

  #chooseWrite(path: string): Operation {
    const { world, style, random } = this
    if (random() < 0.01) return close(world, path)
    return append(world, path, style, this.#messages(1 + Math.floor(random() ** 4 * 4)), random() < 0.01)
  }

  #messages(count: number): readonly Message[] {
    return Array.from({ length: count }, () => ({ number: this.#number++, size: this.#size() }))
  }

  /** Mostly small, sometimes as large as a request may be expected to be. */
  #size(): number {
    const draw = this.random()
    const most = draw < 0.02 ? LARGEST : draw < 0.1 ? 8 * 1024 : 300
    return Math.floor(this.random() * most)
  }

  #anyOffset(path: string): KnownOffset | undefined {
    const known = this.offsets.get(path) ?? []
    return known[Math.floor(this.random() * known.length)]
  }
}

/** An operation in the words of a report. */
export function describe({ name, request }: Operation): string {
  return `${name} (${request.method} ${request.path} with ${request.body?.length ?? 0} bytes, ${JSON.stringify(request.headers)})`
}

/** The media type decides which live modes carry the bytes as they are. */
export function isReadable(client: KillClient, mode: 'sse' | 'long-poll' | 'catch-up'): boolean {
  return mode !== 'sse' || contentType(client.style.kind) !== 'application/octet-stream'
}

function sizeOf({ messages }: StreamFacts): number {
  return messages.reduce((sum, { size }) => sum + size, 0)
}
