/**
 * Many connections append small bodies to one or many streams, each with one request outstanding; what was
 * acknowledged can be read back and compared.
 */
import type { AppendFormat } from './append-format.ts'
import { AppendLedger, describeFindings, type Findings, noFindings } from './append-ledger.ts'
import { type ExchangeSink, HttpConnection, type Origin } from './http-connection.ts'
import type { ResponseHead } from './http-response-parser.ts'
import { LatencyLog } from './percentile.ts'
import { forEachOver, readStream, requestHead } from './stream-client.ts'

/** How an append load is made. */
export interface LoadOptions {
  readonly format: AppendFormat
  readonly connections: number
  /** The most requests of one phase. */
  readonly requests: number
  /** No request starts later than this after the first of its phase. */
  readonly maxSeconds: number
}

const RECORDED_FAILURES = 5

/** Phases of load over all connections: so many requests, then silence. */
export class AppendLoad {
  readonly ledger: AppendLedger
  readonly latencies: LatencyLog
  readonly failures: string[] = []
  failed = 0
  readonly #options: LoadOptions
  readonly #heads: readonly string[]
  readonly #lanes: readonly AppendLane[]
  #remaining = 0
  #nextStream = 0
  #deadlineMs = 0
  #active = 0
  #finished: (() => void) | undefined

  constructor(origin: Origin, paths: readonly string[], options: LoadOptions) {
    const headers = { 'Content-Type': options.format.contentType }
    this.#options = options
    this.#heads = paths.map((path) => requestHead(origin, 'POST', path, headers, options.format.sizeBytes))
    this.ledger = new AppendLedger(paths.length)
    this.latencies = new LatencyLog(options.requests)
    this.#lanes = Array.from({ length: options.connections }, (_, writer) => {
      return new AppendLane(this, writer, new HttpConnection(origin))
    })
  }

  /** Sends so many requests (fewer when time runs out) and waits for the last answer. */
  run(requests: number): Promise<void> {
    this.latencies.clear()
    this.#remaining = requests
    this.#deadlineMs = performance.now() + this.#options.maxSeconds * 1000
    this.#active = this.#lanes.length
    return new Promise((resolve) => {
      this.#finished = resolve
      for (const lane of this.#lanes) lane.next(performance.now())
    })
  }

  /** The stream the next request goes to, or -1 when there is none. */
  take(nowMs: number): number {
    if (this.#remaining === 0 || nowMs > this.#deadlineMs) return -1
    this.#remaining -= 1
    const stream = this.#nextStream
    this.#nextStream = stream + 1 === this.#heads.length ? 0 : stream + 1
    return stream
  }

  request(stream: number, writer: number, seq: number): string {
    return (this.#heads[stream] ?? '') + this.#options.format.encode(writer, seq)
  }

  laneEnded(): void {
    this.#active -= 1
    if (this.#active === 0) this.#finished?.()
  }

  fail(reason: string): void {
    this.failed += 1
    if (this.failures.length < RECORDED_FAILURES) this.failures.push(reason)
  }

  close(): void {
    for (const lane of this.#lanes) lane.close()
  }
}

class AppendLane implements ExchangeSink {
  readonly #load: AppendLoad
  readonly #writer: number
  readonly #connection: HttpConnection
  #seq = 0
  #stream = 0
  #sentMs = 0
  #status = 0

  constructor(load: AppendLoad, writer: number, connection: HttpConnection) {
    this.#load = load
    this.#writer = writer
    this.#connection = connection
  }

  next(nowMs: number): void {
    this.#stream = this.#load.take(nowMs)
    if (this.#stream < 0) {
      this.#load.laneEnded()
      return
    }
    this.#seq += 1
    this.#sentMs = nowMs
    this.#connection.send(this.#load.request(this.#stream, this.#writer, this.#seq), this)
  }

  onHead(head: ResponseHead): void {
    this.#status = head.status
  }

  onBody(): void {}

  onEnd(): void {
    const nowMs = performance.now()
    if (this.#status === 204 || this.#status === 200) {
      this.#load.latencies.add(nowMs - this.#sentMs)
      this.#load.ledger.acknowledge(this.#stream, this.#writer, this.#seq)
    } else {
      this.#load.fail(`an append was answered ${this.#status}`)
    }
    this.next(nowMs)
  }

  onFailure(error: Error): void {
    this.#load.fail(`an append failed: ${error.message}`)
    this.next(performance.now())
  }

  close(): void {
    this.#connection.abort()
  }
}

/** Reads every stream back; what is wrong, one line for each kind. */
export async function verifyAppends(
  origin: Origin,
  paths: readonly string[],
  load: AppendLoad,
  format: AppendFormat,
): Promise<string[]> {
  const total: Findings = noFindings()
  await forEachOver(origin, paths, async (connection, path, index) => {
    const responses: Buffer[] = []
    let parts: Buffer[] = []
    await readStream(connection, path, {
      onBytes: (bytes) => {
        parts.push(Buffer.from(bytes))
      },
      onResponseEnd: () => {
        responses.push(Buffer.concat(parts))
        parts = []
      },
    })
    const findings = load.ledger.judge(index, format.decode(responses))
    total.lost += findings.lost
    total.duplicated += findings.duplicated
    total.unexpected += findings.unexpected
    total.reordered += findings.reordered
    total.corrupt += findings.corrupt
  })
  return describeFindings(`${paths.length} streams`, total)
}
