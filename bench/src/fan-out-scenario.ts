/**
 * Many SSE readers follow one stream while one writer appends. The writer has a bounded number of appends
 * that some reader has not got yet, so a slow server shows as latency and not as a growing queue.
 */
import { plainFormat } from './append-format.ts'
import { DeliveryCheck } from './delivery-check.ts'
import { HttpConnection } from './http-connection.ts'
import { LatencyLog } from './percentile.ts'
import { UsageMeter } from './process-usage.ts'
import { cpuMetrics, type RoundResult, type Scenario, type ServerUnderTest } from './scenario.ts'
import { SseReader, startReaders } from './sse-reader.ts'
import { createStream, deleteStream, requestHead, streamPath } from './stream-client.ts'

export interface FanOutOptions {
  readonly readers: number
  readonly appends: number
  /** Appends that may be under way, that is not yet delivered to every reader. */
  readonly window: number
}

const FORMAT = plainFormat('text/plain', 100)
const STALL_MS = 10_000
/** Time for a message that comes twice to show itself. */
const SETTLE_MS = 200

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** Appends messages 1 to `appends` and waits until each of them has reached every reader. */
class FanOutWriter {
  readonly latencies: LatencyLog
  readonly problems: string[] = []
  readonly #connection: HttpConnection
  readonly #head: string
  readonly #options: FanOutOptions
  readonly #sentMs: Float64Array
  readonly #receivers: Int32Array
  #sent = 0
  #complete = 0
  #busy = false
  #progressMs = 0
  #finished: () => void = () => {}

  constructor(connection: HttpConnection, path: string, options: FanOutOptions) {
    this.#connection = connection
    this.#head = requestHead(
      connection.origin,
      'POST',
      path,
      { 'Content-Type': 'text/plain' },
      FORMAT.sizeBytes,
    )
    this.#options = options
    this.#sentMs = new Float64Array(options.appends + 1)
    this.#receivers = new Int32Array(options.appends + 1)
    this.latencies = new LatencyLog(options.appends * options.readers)
  }

  /** The number of messages that were sent. */
  get sent(): number {
    return this.#sent
  }

  run(): Promise<void> {
    this.#progressMs = performance.now()
    return new Promise((resolve) => {
      const watchdog = setInterval(() => {
        if (performance.now() - this.#progressMs > STALL_MS) this.stop(`nothing arrived for ${STALL_MS} ms`)
      }, 1_000)
      this.#finished = () => {
        clearInterval(watchdog)
        resolve()
      }
      this.#pump()
    })
  }

  /** A reader got message `seq`. */
  delivered(seq: number): void {
    const nowMs = performance.now()
    this.#progressMs = nowMs
    this.latencies.add(nowMs - (this.#sentMs[seq] ?? nowMs))
    const receivers = (this.#receivers[seq] ?? 0) + 1
    this.#receivers[seq] = receivers
    if (receivers === this.#options.readers) {
      this.#complete += 1
      this.#pump()
    }
  }

  stop(problem: string): void {
    this.problems.push(problem)
    this.#finished()
  }

  #pump(): void {
    const { appends, window } = this.#options
    if (this.#busy || this.problems.length > 0) return
    if (this.#complete === appends) this.#finished()
    else if (this.#sent < appends && this.#sent - this.#complete < window) this.#append()
  }

  #append(): void {
    let status = 0
    this.#busy = true
    this.#sent += 1
    this.#sentMs[this.#sent] = performance.now()
    this.#connection.send(this.#head + FORMAT.encode(0, this.#sent), {
      onHead: (head) => {
        status = head.status
      },
      onBody: () => {},
      onEnd: () => {
        this.#busy = false
        if (status === 204) this.#pump()
        else this.stop(`an append was answered ${status}`)
      },
      onFailure: (error) => this.stop(`an append failed: ${error.message}`),
    })
  }
}

async function measure(server: ServerUnderTest, name: string, options: FanOutOptions): Promise<RoundResult> {
  const path = streamPath(`bench-fan-out-${process.pid}-${name}`)
  const connection = new HttpConnection(server.origin)
  await createStream(connection, path, FORMAT.contentType)
  const writer = new FanOutWriter(connection, path, options)
  const checks = Array.from({ length: options.readers }, () => {
    return new DeliveryCheck(FORMAT, 1, (seq) => writer.delivered(seq))
  })
  const readers = checks.map((check) => {
    return new SseReader(server.origin, path, 'now', {
      onData: (data) => check.receive(data),
      onFailure: (reason) => writer.stop(reason),
    })
  })
  await startReaders(readers)
  const meter = new UsageMeter(server.pid)
  if (writer.problems.length === 0) await writer.run()
  const usage = meter.finish()
  await pause(SETTLE_MS)
  const broken = checks.flatMap((check, index) => check.finish(index, writer.sent))
  for (const reader of readers) reader.stop()
  await deleteStream(connection, path)
  connection.abort()
  const deliveries = writer.latencies.count
  const { p50, p99 } = writer.latencies.summary()
  const metrics = [
    { key: 'rate', label: 'deliveries/s', value: deliveries / (usage.wallMs / 1000), digits: 0 },
    { key: 'p50', label: 'p50 ms', value: p50, digits: 2 },
    { key: 'p99', label: 'p99 ms', value: p99, digits: 2 },
    ...cpuMetrics(usage, deliveries, 'delivery'),
  ]
  return { metrics, problems: [...writer.problems, ...broken.slice(0, 5)] }
}

export function fanOutScenario(options: FanOutOptions): Scenario {
  return {
    name: 'sse-fan-out',
    title: `SSE fan-out: ${options.readers} reader(s), ${options.appends} appends of ${FORMAT.sizeBytes} B`,
    parameters: { ...options, body: FORMAT.label },
    needsStorage: false,
    prepare: async (server) => {
      const appends = Math.max(10, Math.ceil(1_000 / options.readers))
      await measure(server, 'warm-up', { ...options, appends })
    },
    round: (server, round) => measure(server, String(round), options),
  }
}
