/** The terms that scenarios, the runner and the report share. */
import type { Origin } from './http-connection.ts'
import type { Usage } from './process-usage.ts'

/** A running server that is being measured. */
export interface ServerUnderTest {
  readonly name: string
  readonly origin: Origin
  readonly pid: number
  /** False for the bare handler, which keeps nothing: then there is nothing to verify. */
  readonly stores: boolean
}

export interface Metric {
  readonly key: string
  readonly label: string
  readonly value: number
  readonly digits: number
}

export interface RoundResult {
  readonly metrics: readonly Metric[]
  /** What verification found wrong; empty when all is well. */
  readonly problems: readonly string[]
}

/** Something that can be measured again and again on a running server. */
export interface Scenario {
  readonly name: string
  readonly title: string
  /** Sizes, counts and bounds, for the report. */
  readonly parameters: Readonly<Record<string, number | string>>
  /** True when a server that stores nothing cannot take part. */
  readonly needsStorage: boolean
  /** At most so many rounds are worth their time. */
  readonly maxRounds?: number
  /** Not measured: makes data, warms up. */
  prepare(server: ServerUnderTest): Promise<void>
  round(server: ServerUnderTest, round: number): Promise<RoundResult>
}

/** The key of the metric that the difference to the bare handler is taken of. */
export const SERVER_CPU = 'serverCpu'

/** CPU time of server, load generator and everything else, for so many operations. */
export function cpuMetrics(usage: Usage, operations: number, operation: string): Metric[] {
  const perOperation = (ms: number): number => (operations === 0 ? 0 : (ms * 1000) / operations)
  return [
    {
      key: SERVER_CPU,
      label: `server CPU µs/${operation}`,
      value: perOperation(usage.serverCpuMs),
      digits: 1,
    },
    { key: 'loadCpu', label: `load CPU µs/${operation}`, value: perOperation(usage.loadCpuMs), digits: 1 },
    { key: 'serverShare', label: 'server %core', value: (100 * usage.serverCpuMs) / usage.wallMs, digits: 0 },
    { key: 'other', label: 'other %core', value: (100 * usage.otherCpuMs) / usage.wallMs, digits: 0 },
  ]
}
