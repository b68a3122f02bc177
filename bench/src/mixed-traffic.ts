/**
 * A stream's whole life in all the kinds of request there are, good and bad, again and again. Each cycle
 * deletes what it made, so that a server which keeps growing keeps something it should not.
 */
import { type Exchange, HttpConnection, type Origin } from './http-connection.ts'
import { SseReader } from './sse-reader.ts'
import { type Headers, requestText, streamPath } from './stream-client.ts'

const JSON_TYPE: Headers = { 'Content-Type': 'application/json' }
const TEXT_TYPE: Headers = { 'Content-Type': 'text/plain' }
const RECORDED_PROBLEMS = 10
/** Long enough for a request to be waiting on the server before it is given up. */
const ABANDON_AFTER_MS = 15

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

function producer(epoch: number, seq: number): Headers {
  return { ...JSON_TYPE, 'Producer-Id': 'p', 'Producer-Epoch': String(epoch), 'Producer-Seq': String(seq) }
}

/** One client going through cycles; the counts are shared by all clients of a run. */
export class MixedTraffic {
  requests = 0
  readonly problems: string[] = []
  readonly #origin: Origin

  constructor(origin: Origin) {
    this.#origin = origin
  }

  /** Runs `clients` side by side until so many requests were sent, then closes all connections. */
  async run(clients: number, untilRequests: number, phase: string): Promise<void> {
    const client = async (index: number): Promise<void> => {
      const connection = new HttpConnection(this.#origin)
      try {
        for (let cycle = 0; this.requests < untilRequests; cycle += 1) {
          const name = `mixed-${process.pid}-${phase}-${index}-${cycle}`
          await this.#jsonLife(connection, streamPath(`${name}-json`))
          await this.#textLife(connection, streamPath(`${name}-text`), cycle)
          await this.#forkLife(connection, streamPath(`${name}-source`), streamPath(`${name}-fork`))
          await this.#mistakes(connection, streamPath(`${name}-missing`))
        }
      } catch (error) {
        this.#problem(error instanceof Error ? error.message : String(error))
      } finally {
        connection.abort()
      }
    }
    await Promise.all(Array.from({ length: clients }, (_, index) => client(index)))
  }

  #problem(text: string): void {
    if (this.problems.length < RECORDED_PROBLEMS) this.problems.push(text)
  }

  async #ask(
    connection: HttpConnection,
    expected: number,
    method: string,
    path: string,
    headers: Headers = {},
    body?: string,
  ): Promise<Exchange> {
    this.requests += 1
    const answer = await connection.exchange(requestText(this.#origin, method, path, headers, body))
    if (answer.status !== expected) {
      this.#problem(`${method} ${path} was answered ${answer.status}, not ${expected}`)
    }
    return answer
  }

  async #tail(connection: HttpConnection, path: string): Promise<string> {
    const answer = await this.#ask(connection, 200, 'HEAD', path)
    return answer.head.header('stream-next-offset') ?? '-1'
  }

  /** JSON appends, producers and conditional reads. */
  async #jsonLife(connection: HttpConnection, path: string): Promise<void> {
    await this.#ask(connection, 201, 'PUT', path, JSON_TYPE, '')
    await this.#ask(connection, 200, 'PUT', path, JSON_TYPE, '')
    await this.#ask(connection, 204, 'POST', path, JSON_TYPE, '{"n":1}')
    await this.#ask(connection, 204, 'POST', path, JSON_TYPE, '[{"n":2},{"n":3}]')
    await this.#ask(connection, 400, 'POST', path, JSON_TYPE, '{"n":')
    await this.#ask(connection, 400, 'POST', path, JSON_TYPE, '[]')
    await this.#ask(connection, 200, 'POST', path, producer(0, 0), '{"n":4}')
    await this.#ask(connection, 200, 'POST', path, producer(0, 1), '{"n":5}')
    await this.#ask(connection, 204, 'POST', path, producer(0, 1), '{"n":5}')
    await this.#ask(connection, 409, 'POST', path, producer(0, 7), '{"n":6}')
    await this.#ask(connection, 200, 'POST', path, producer(1, 0), '{"n":6}')
    await this.#ask(connection, 403, 'POST', path, producer(0, 2), '{"n":7}')
    await this.#ask(connection, 200, 'POST', path, producer(1, 1), `{"text":"${'x'.repeat(2_000)}"}`)
    const read = await this.#ask(connection, 200, 'GET', `${path}?offset=-1`)
    const etag = read.head.header('etag')
    if (etag !== undefined) {
      await this.#ask(connection, 304, 'GET', `${path}?offset=-1`, { 'If-None-Match': etag })
    }
    await this.#ask(connection, 200, 'GET', `${path}?offset=now`)
    await this.#ask(connection, 200, 'GET', `${path}?offset=-1&live=long-poll`)
    await this.#listen(path, '-1')
    await this.#ask(connection, 204, 'DELETE', path)
  }

  /** Text appends with readers that wait, are woken, time out and go away; then closing. */
  async #textLife(connection: HttpConnection, path: string, cycle: number): Promise<void> {
    await this.#ask(connection, 201, 'PUT', path, TEXT_TYPE, 'first')
    await this.#ask(connection, 204, 'POST', path, TEXT_TYPE, 'second')
    const tail = await this.#tail(connection, path)
    const other = new HttpConnection(this.#origin)
    const woken = this.#ask(other, 200, 'GET', `${path}?offset=${tail}&live=long-poll`)
    await this.#ask(connection, 204, 'POST', path, TEXT_TYPE, 'third')
    await woken
    if (cycle % 4 === 0) await this.#ask(other, 204, 'GET', `${path}?offset=now&live=long-poll`)
    await this.#abandon(other, `${path}?offset=now&live=long-poll`)
    await this.#listen(path, 'now')
    await this.#ask(connection, 409, 'POST', path, JSON_TYPE, '{}')
    await this.#ask(connection, 204, 'POST', path, { 'Stream-Closed': 'true' }, '')
    await this.#ask(connection, 409, 'POST', path, TEXT_TYPE, 'late')
    const end = await this.#tail(connection, path)
    await this.#ask(connection, 204, 'GET', `${path}?offset=${end}&live=long-poll`)
    await this.#ask(connection, 200, 'GET', `${path}?offset=${end}&live=sse`)
    await this.#ask(connection, 204, 'DELETE', path)
  }

  /** A fork outlives its source. */
  async #forkLife(connection: HttpConnection, source: string, fork: string): Promise<void> {
    await this.#ask(connection, 201, 'PUT', source, TEXT_TYPE, 'inherited')
    await this.#ask(connection, 201, 'PUT', fork, { 'Stream-Forked-From': source }, '')
    await this.#ask(connection, 204, 'POST', fork, TEXT_TYPE, 'own')
    await this.#ask(connection, 200, 'GET', `${fork}?offset=-1`)
    await this.#ask(connection, 204, 'DELETE', source)
    await this.#ask(connection, 410, 'GET', `${source}?offset=-1`)
    await this.#ask(connection, 409, 'PUT', source, TEXT_TYPE, '')
    await this.#listen(fork, '-1')
    await this.#ask(connection, 204, 'DELETE', fork)
  }

  async #mistakes(connection: HttpConnection, path: string): Promise<void> {
    await this.#ask(connection, 404, 'GET', `${path}?offset=-1`)
    await this.#ask(connection, 404, 'HEAD', path)
    await this.#ask(connection, 404, 'POST', path, TEXT_TYPE, 'x')
    await this.#ask(connection, 404, 'DELETE', path)
    await this.#ask(connection, 404, 'GET', `${path}?offset=-1&live=sse`)
    await this.#ask(connection, 404, 'PUT', `${path}-fork`, { 'Stream-Forked-From': path }, '')
    await this.#ask(connection, 400, 'PUT', path, { ...TEXT_TYPE, 'Stream-TTL': 'soon' }, '')
    await this.#ask(connection, 201, 'PUT', path, TEXT_TYPE, '')
    await this.#ask(connection, 400, 'GET', `${path}?offset=nonsense`)
    await this.#ask(connection, 400, 'GET', `${path}?live=sse`)
    await this.#ask(connection, 400, 'POST', path, TEXT_TYPE, '')
    await this.#ask(connection, 409, 'PUT', path, JSON_TYPE, '')
    await this.#ask(connection, 204, 'DELETE', path)
  }

  /** Opens an event stream, waits for its first event and goes away without a word. */
  async #listen(path: string, offset: string): Promise<void> {
    this.requests += 1
    const reader = new SseReader(this.#origin, path, offset, {
      onData: () => {},
      onFailure: (reason) => this.#problem(`${path}: ${reason}`),
    })
    await reader.start()
    reader.stop()
  }

  /** Sends a request that waits, and drops the connection while it does. */
  async #abandon(connection: HttpConnection, path: string): Promise<void> {
    this.requests += 1
    const ignore = (): void => {}
    const sink = { onHead: ignore, onBody: ignore, onEnd: ignore, onFailure: ignore }
    connection.send(requestText(this.#origin, 'GET', path), sink)
    await pause(ABANDON_AFTER_MS)
    connection.abort()
  }
}
