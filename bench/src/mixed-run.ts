/** Sends mixed requests to one server process and looks at its heap half way and at the end. */
import { readConditions } from './conditions.ts'
import { type ErrorOutput, LeakProcess, type LeakTarget } from './leak-process.ts'
import type { ServerStatistics } from './leak-server.ts'
import { MixedTraffic } from './mixed-traffic.ts'
import { residentBytes } from './process-usage.ts'
import { formatConditions } from './report.ts'
import { UsageError } from './usage-error.ts'

export interface MixedOptions {
  readonly target: string
  readonly requests: number
  /** Sent before the first counted request; code that is compiled late then counts for neither half. */
  readonly warmUpRequests: number
  readonly json: boolean
}

interface Checkpoint {
  readonly requests: number
  readonly heapBytes: number
  readonly residentBytes: number
}

const CLIENTS = 32
/** Growth of the heap between half way and the end that is still noise. */
const ALLOWED_GROWTH = 0.05
const QUIET_TIMEOUT_MS = 3_000
/** Every client has gone and every stream is deleted. */
const MUST_END_AT_ZERO = ['readers', 'waiters', 'pendingCommits']
/** For the server to notice connections that were dropped. */
const SETTLE_MS = 500

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

async function checkpoint(server: LeakProcess, requests: number): Promise<Checkpoint> {
  await pause(SETTLE_MS)
  const heapBytes = await server.heapBytes()
  return { requests, heapBytes, residentBytes: residentBytes(server.pid) }
}

function isQuiet(statistics: ServerStatistics): boolean {
  return MUST_END_AT_ZERO.every((name) => (statistics[name] ?? 0) === 0)
}

/** What the server says about itself once nothing is open any more, or after a while. */
async function lastStatistics(server: LeakProcess): Promise<ServerStatistics> {
  const deadlineMs = performance.now() + QUIET_TIMEOUT_MS
  for (;;) {
    const statistics = await server.statistics()
    if (isQuiet(statistics) || performance.now() > deadlineMs) return statistics
    await pause(100)
  }
}

function parseLeakTarget(target: string): LeakTarget {
  if (target === 'upstream' || target === 'millrace') return target
  throw new UsageError(`mixed has no target ${target}`)
}

interface MixedResult {
  readonly target: string
  readonly warmUpRequests: number
  readonly checkpoints: readonly Checkpoint[]
  /** Of the heap, between half way and the end, as a fraction. */
  readonly growth: number
  readonly statistics: ServerStatistics
  readonly errorOutput: ErrorOutput
  readonly problems: readonly string[]
}

async function measure(target: LeakTarget, options: MixedOptions): Promise<MixedResult> {
  const { requests, warmUpRequests } = options
  const server = await LeakProcess.start(target)
  const traffic = new MixedTraffic(server.origin)
  try {
    await traffic.run(CLIENTS, warmUpRequests, 'warm-up')
    traffic.requests = 0
    const start = await checkpoint(server, 0)
    await traffic.run(CLIENTS, Math.ceil(requests / 2), 'first')
    const half = await checkpoint(server, traffic.requests)
    await traffic.run(CLIENTS, requests, 'second')
    const end = await checkpoint(server, traffic.requests)
    const statistics = await lastStatistics(server)
    const growth = (end.heapBytes - half.heapBytes) / half.heapBytes
    const problems = [...traffic.problems]
    if (growth > ALLOWED_GROWTH) problems.push(`the heap grew by ${(growth * 100).toFixed(1)} %`)
    if (!isQuiet(statistics)) problems.push('readers or commits are still open')
    return {
      target,
      warmUpRequests,
      checkpoints: [start, half, end],
      growth,
      statistics,
      errorOutput: server.errors,
      problems,
    }
  } finally {
    await server.stop()
  }
}

function formatMixed(result: MixedResult): string {
  const { target, warmUpRequests, checkpoints, growth, statistics, errorOutput, problems } = result
  const mebibytes = (bytes: number): string => `${(bytes / 1_048_576).toFixed(2)} MiB`
  const told = Object.entries(statistics).map(([name, value]) => `${name} ${value}`)
  const lines = checkpoints.map(({ requests, heapBytes, residentBytes }) => {
    return `after ${requests} requests: heap ${mebibytes(heapBytes)}, resident ${mebibytes(residentBytes)}`
  })
  lines.push(`heap growth in the second half: ${(growth * 100).toFixed(1)} %`)
  lines.push(`still open at the end: ${told.length > 0 ? told.join(', ') : 'the server does not tell'}`)
  lines.push(`written to standard error by the server: ${errorOutput.bytes} bytes`)
  if (errorOutput.bytes > 0) lines.push(`  ${errorOutput.text.split('\n', 1)[0]}`)
  lines.push(...problems.map((problem) => `PROBLEM ${problem}`))
  return `mixed, ${target}, ${CLIENTS} clients, ${warmUpRequests} requests of warm-up\n${lines.map((line) => `  ${line}\n`).join('')}`
}

/** Prints the result; the exit status. */
export async function runMixed(options: MixedOptions): Promise<number> {
  const conditions = readConditions()
  const result = await measure(parseLeakTarget(options.target), options)
  const json = JSON.stringify({ conditions, mixed: result }, null, 2)
  process.stdout.write(
    options.json ? `${json}\n` : `${formatConditions(conditions)}\n\n${formatMixed(result)}`,
  )
  return result.problems.length === 0 ? 0 : 1
}
