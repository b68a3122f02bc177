/** A small stream is read whole, again and again, by many connections; every body is compared. */
import { type ExchangeSink, HttpConnection } from './http-connection.ts'
import type { ResponseHead } from './http-response-parser.ts'
import { patternBytes } from './pattern-bytes.ts'
import { LatencyLog } from './percentile.ts'
import { UsageMeter } from './process-usage.ts'
import { cpuMetrics, type RoundResult, type Scenario, type ServerUnderTest } from './scenario.ts'
import { appendBytes, createStream, requestHead, streamPath } from './stream-client.ts'

export interface SmallReadOptions {
  readonly connections: number
  readonly requests: number
  readonly maxSeconds: number
}

/** What every read has to return; the bare handler answers it from nowhere. */
export const SMALL_BODY: Buffer = patternBytes(1_024, 1)

/** Requests of one connection after another until the shared budget is used up. */
class SmallReadLane implements ExchangeSink {
  readonly #connection: HttpConnection
  readonly #load: SmallReadLoad
  #status = 0
  #received = 0
  #intact = true
  #sentMs = 0

  constructor(connection: HttpConnection, load: SmallReadLoad) {
    this.#connection = connection
    this.#load = load
  }

  next(nowMs: number): void {
    if (!this.#load.take(nowMs)) {
      this.#connection.abort()
      this.#load.laneEnded()
      return
    }
    this.#received = 0
    this.#intact = true
    this.#sentMs = nowMs
    this.#connection.send(this.#load.request, this)
  }

  onHead(head: ResponseHead): void {
    this.#status = head.status
  }

  onBody(bytes: Buffer): void {
    const end = this.#received + bytes.length
    this.#intact &&=
      end <= SMALL_BODY.length && SMALL_BODY.compare(bytes, 0, bytes.length, this.#received, end) === 0
    this.#received = end
  }

  onEnd(): void {
    const nowMs = performance.now()
    if (this.#status === 200 && this.#intact && this.#received === SMALL_BODY.length) {
      this.#load.latencies.add(nowMs - this.#sentMs)
    } else {
      this.#load.failed += 1
    }
    this.next(nowMs)
  }

  onFailure(): void {
    this.#load.failed += 1
    this.next(performance.now())
  }
}

class SmallReadLoad {
  readonly request: string
  readonly latencies: LatencyLog
  failed = 0
  #remaining: number
  #deadlineMs: number
  #active = 0
  #finished: (() => void) | undefined

  constructor(request: string, options: SmallReadOptions) {
    this.request = request
    this.latencies = new LatencyLog(options.requests)
    this.#remaining = options.requests
    this.#deadlineMs = performance.now() + options.maxSeconds * 1000
  }

  run(connections: readonly HttpConnection[]): Promise<void> {
    this.#active = connections.length
    return new Promise((resolve) => {
      this.#finished = resolve
      for (const connection of connections) new SmallReadLane(connection, this).next(performance.now())
    })
  }

  take(nowMs: number): boolean {
    if (this.#remaining === 0 || nowMs > this.#deadlineMs) return false
    this.#remaining -= 1
    return true
  }

  laneEnded(): void {
    this.#active -= 1
    if (this.#active === 0) this.#finished?.()
  }
}

async function measureSmall(
  server: ServerUnderTest,
  path: string,
  options: SmallReadOptions,
): Promise<RoundResult> {
  const request = requestHead(server.origin, 'GET', `${path}?offset=-1`)
  const load = new SmallReadLoad(request, options)
  const connections = Array.from({ length: options.connections }, () => new HttpConnection(server.origin))
  const meter = new UsageMeter(server.pid)
  await load.run(connections)
  const usage = meter.finish()
  const done = load.latencies.count
  const { p50, p99 } = load.latencies.summary()
  const metrics = [
    { key: 'rate', label: 'requests/s', value: done / (usage.wallMs / 1000), digits: 0 },
    { key: 'p50', label: 'p50 ms', value: p50, digits: 2 },
    { key: 'p99', label: 'p99 ms', value: p99, digits: 2 },
    ...cpuMetrics(usage, done, 'req'),
  ]
  return { metrics, problems: load.failed === 0 ? [] : [`${load.failed} reads failed or differed`] }
}

export function smallReadScenario(options: SmallReadOptions): Scenario {
  const path = streamPath(`bench-small-${process.pid}`)
  return {
    name: 'small-reads',
    title: `small reads: ${SMALL_BODY.length} B at offset -1, ${options.connections} connections`,
    parameters: { ...options, sizeBytes: SMALL_BODY.length },
    needsStorage: false,
    prepare: async (server) => {
      const connection = new HttpConnection(server.origin)
      await createStream(connection, path, 'application/octet-stream')
      await appendBytes(connection, path, SMALL_BODY)
      connection.abort()
      await measureSmall(server, path, { ...options, requests: 3_000 })
    },
    round: (server) => measureSmall(server, path, options),
  }
}
