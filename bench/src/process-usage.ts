/**
 * What a process and the machine used between two moments, read from /proc (Linux).
 * CPU time comes from the scheduler's nanosecond counters, summed over all threads of the process.
 */
import { readdirSync, readFileSync } from 'node:fs'

/** CPU use of one span of time. */
export interface Usage {
  readonly wallMs: number
  /** CPU time of the measured process. */
  readonly serverCpuMs: number
  /** CPU time of this process, the load generator. */
  readonly loadCpuMs: number
  /** CPU time that anything else on the machine used meanwhile, in 10 ms steps: the noise. */
  readonly otherCpuMs: number
}

const TICK_MS = 10

function threadTimes(pid: number): ReadonlyMap<string, number> {
  const times = new Map<string, number>()
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    try {
      const text = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1')
      times.set(thread, Number(text.slice(0, text.indexOf(' '))) / 1e6)
    } catch {
      // The thread ended between the listing and the read; `serverTime` notices that it is missing.
    }
  }
  return times
}

/** utime + stime of a process, in milliseconds, in steps of 10; threads that have ended included. */
function processTime(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS
}

/** Everything but idle and waiting, of all cores, in milliseconds. */
function machineBusyMs(): number {
  const [, user, nice, system, , , irq, softIrq, steal] = readFileSync('/proc/stat', 'latin1').split(/ +/, 9)
  const ticks = [user, nice, system, irq, softIrq, steal].reduce((sum, field) => sum + Number(field), 0)
  return ticks * TICK_MS
}

function statusBytes(pid: number, field: string): number {
  const match = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(
    readFileSync(`/proc/${pid}/status`, 'latin1'),
  )
  if (match === null) throw new Error(`no ${field} for process ${pid}`)
  return Number(match[1]) * 1024
}

/** Resident memory of a process in bytes. */
export function residentBytes(pid: number): number {
  return statusBytes(pid, 'VmRSS')
}

/** The part of it that is not pages of files, which the system takes back when it needs them. */
export function ownResidentBytes(pid: number): number {
  return statusBytes(pid, 'RssAnon')
}

/** A running measurement; `finish` gives what was used since it was made. */
export class UsageMeter {
  readonly #pid: number
  readonly #threads: ReadonlyMap<string, number>
  readonly #processMs: number
  readonly #machineMs: number
  readonly #own: NodeJS.CpuUsage
  readonly #startMs: number

  constructor(pid: number) {
    this.#pid = pid
    this.#machineMs = machineBusyMs()
    this.#processMs = processTime(pid)
    this.#threads = threadTimes(pid)
    this.#own = process.cpuUsage()
    this.#startMs = performance.now()
  }

  finish(): Usage {
    const wallMs = performance.now() - this.#startMs
    const own = process.cpuUsage(this.#own)
    const loadCpuMs = (own.user + own.system) / 1000
    const serverCpuMs = this.#serverCpuMs()
    const otherCpuMs = Math.max(0, machineBusyMs() - this.#machineMs - serverCpuMs - loadCpuMs)
    return { wallMs, serverCpuMs, loadCpuMs, otherCpuMs }
  }

  /** By threads; when one has ended its time is lost there, so then by the coarser process counter. */
  #serverCpuMs(): number {
    const now = threadTimes(this.#pid)
    for (const thread of this.#threads.keys()) {
      if (!now.has(thread)) return processTime(this.#pid) - this.#processMs
    }
    let sum = 0
    for (const [thread, ms] of now) sum += ms - (this.#threads.get(thread) ?? 0)
    return sum
  }
}
