/** Under which conditions a measurement was made: without them a number means nothing. */
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os'

export interface Conditions {
  readonly date: string
  readonly cpu: string
  readonly cores: number
  readonly memoryGiB: number
  readonly kernel: string
  readonly node: string
  /** Load average over one minute before the first measurement. */
  readonly loadAverage: number
  /** File system and device of the data directories; `undefined` where nothing is stored in files. */
  readonly disk: string | undefined
}

export function readConditions(disk?: string): Conditions {
  return {
    date: new Date().toISOString(),
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.version,
    loadAverage: loadavg()[0] ?? 0,
    disk,
  }
}
