/** Sends mixed requests to one server process and looks at its heap half way and at the end. */
import { readConditions } from './conditions.ts'
import { LeakProcess, type LeakTarget } from './leak-process.ts'
import { MixedTraffic } from './mixed-traffic.ts'
import { residentBytes } from './process-usage.ts'
import { formatConditions } from './report.ts'
import { UsageError } from './usage-error.ts'

export interface MixedOptions {
  readonly target: string
  readonly requests: number
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
const WAITERS_TIMEOUT_MS = 3_000
/** For the server to notice connections that were dropped. */
const SETTLE_MS = 500

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

async function checkpoint(server: LeakProcess, requests: number): Promise<Checkpoint> {
  await pause(SETTLE_MS)
  const heapBytes = await server.ask('gc')
  return { requests, heapBytes: heapBytes ?? 0, residentBytes: residentBytes(server.pid) }
}

/** The number of waiters once it is zero, or after a while; undefined when the server does not tell. */
async function lastingWaiters(server: LeakProcess): Promise<number | undefined> {
  const deadlineMs = performance.now() + WAITERS_TIMEOUT_MS
  for (;;) {
    const waiters = await server.ask('waiters')
    if (waiters === undefined || waiters === 0 || performance.now() > deadlineMs) return waiters
    await pause(100)
  }
}

function parseLeakTarget(target: string): LeakTarget {
  if (target === 'upstream' || target === 'millrace') return target
  throw new UsageError(`mixed has no target ${target}`)
}

/** Prints the result; the exit status. */
export async function runMixed(options: MixedOptions): Promise<number> {
  const conditions = readConditions()
  const server = await LeakProcess.start(parseLeakTarget(options.target))
  const traffic = new MixedTraffic(server.origin)
  const checkpoints: Checkpoint[] = []
  let waiters: number | undefined
  try {
    checkpoints.push(await checkpoint(server, 0))
    for (const phase of [1, 2]) {
      await traffic.run(CLIENTS, Math.ceil((options.requests * phase) / 2), String(phase))
      checkpoints.push(await checkpoint(server, traffic.requests))
    }
    waiters = await lastingWaiters(server)
  } finally {
    await server.stop()
  }
  const half = checkpoints[1]?.heapBytes ?? 0
  const growth = ((checkpoints[2]?.heapBytes ?? 0) - half) / half
  const problems = [...traffic.problems]
  if (growth > ALLOWED_GROWTH) problems.push(`the heap grew by ${(growth * 100).toFixed(1)} %`)
  if (waiters !== undefined && waiters !== 0) problems.push(`${waiters} readers are still waiting`)
  const errorBytes = server.errors.bytes
  const result = {
    target: options.target,
    checkpoints,
    growth,
    waiters: waiters ?? null,
    errorBytes,
    problems,
  }
  if (options.json) {
    process.stdout.write(`${JSON.stringify({ conditions, mixed: result }, null, 2)}\n`)
  } else {
    const mebibytes = (bytes: number): string => (bytes / 1_048_576).toFixed(2)
    const lines = checkpoints.map(({ requests, heapBytes, residentBytes }) => {
      return `  after ${requests} requests: heap ${mebibytes(heapBytes)} MiB, resident ${mebibytes(residentBytes)} MiB`
    })
    lines.push(`  heap growth in the second half: ${(growth * 100).toFixed(1)} %`)
    lines.push(`  open waiters at the end: ${waiters ?? 'not told'}`)
    lines.push(`  written to standard error by the server: ${errorBytes} bytes`)
    if (errorBytes > 0) lines.push(`    ${server.errors.text.slice(0, 200)}`)
    lines.push(...problems.map((problem) => `  PROBLEM ${problem}`))
    process.stdout.write(`${formatConditions(conditions)}\n\nmixed, ${options.target}\n${lines.join('\n')}\n`)
  }
  return problems.length === 0 ? 0 : 1
}
