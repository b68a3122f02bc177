/** Appends of small bodies over many connections, to one or many streams, verified afterwards. */
import type { AppendFormat } from './append-format.ts'
import { AppendLoad, verifyAppends } from './append-load.ts'
import { UsageMeter } from './process-usage.ts'
import { cpuMetrics, type RoundResult, type Scenario, type ServerUnderTest } from './scenario.ts'
import { createStream, deleteStream, forEachOver, streamPath } from './stream-client.ts'

export interface AppendsOptions {
  readonly format: AppendFormat
  readonly streams: number
  readonly connections: number
  readonly requests: number
  readonly warmUpRequests: number
  /** No request starts later than this after the first of its phase. */
  readonly maxSeconds: number
}

async function measure(
  server: ServerUnderTest,
  options: AppendsOptions,
  round: string,
): Promise<RoundResult> {
  const { origin } = server
  const paths = Array.from({ length: options.streams }, (_, index) => {
    return streamPath(`bench-appends-${process.pid}-${round}-${index}`)
  })
  await forEachOver(origin, paths, (connection, path) => {
    return createStream(connection, path, options.format.contentType)
  })
  const load = new AppendLoad(origin, paths, {
    ...options,
    requests: Math.max(options.requests, options.warmUpRequests),
  })
  await load.run(options.warmUpRequests)
  const meter = new UsageMeter(server.pid)
  await load.run(options.requests)
  const usage = meter.finish()
  load.close()
  const problems = load.failed === 0 ? [] : [`${load.failed} appends failed`, ...load.failures]
  if (server.stores) {
    const unreadable = (error: unknown): string[] => [`reading back failed: ${error}`]
    problems.push(...(await verifyAppends(origin, paths, load, options.format).catch(unreadable)))
  }
  await forEachOver(origin, paths, deleteStream)
  const done = load.latencies.count
  const { p50, p99 } = load.latencies.summary()
  const metrics = [
    { key: 'rate', label: 'requests/s', value: done / (usage.wallMs / 1000), digits: 0 },
    { key: 'p50', label: 'p50 ms', value: p50, digits: 2 },
    { key: 'p99', label: 'p99 ms', value: p99, digits: 2 },
    ...cpuMetrics(usage, done, 'req'),
  ]
  return { metrics, problems }
}

export function appendsScenario(options: AppendsOptions): Scenario {
  const { format, streams, connections, requests, warmUpRequests, maxSeconds } = options
  return {
    name: 'appends',
    title: `appends: ${format.label}, ${streams} stream(s), ${connections} connections`,
    parameters: { body: format.label, streams, connections, requests, warmUpRequests, maxSeconds },
    needsStorage: false,
    prepare: async (server) => {
      await measure(server, { ...options, requests: 1 }, 'warm-up')
    },
    round: (server, round) => measure(server, options, String(round)),
  }
}
