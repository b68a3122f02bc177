/**
 * Many SSE readers wait on a stream on which nothing happens: what heartbeats, reconnects and the mere
 * connections cost. A round takes its full time, so one round is the default.
 */
import { HttpConnection } from './http-connection.ts'
import { residentBytes, UsageMeter } from './process-usage.ts'
import type { RoundResult, Scenario, ServerUnderTest } from './scenario.ts'
import { SseReader, startReaders } from './sse-reader.ts'
import { createStream, deleteStream, streamPath } from './stream-client.ts'

export interface IdleOptions {
  readonly readers: number
  readonly seconds: number
}

/** After connecting, before measuring: lets the server finish what the connections started. */
const SETTLE_MS = 2_000

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

async function measure(server: ServerUnderTest, name: string, options: IdleOptions): Promise<RoundResult> {
  const path = streamPath(`bench-idle-${process.pid}-${name}`)
  const connection = new HttpConnection(server.origin)
  const problems: string[] = []
  await createStream(connection, path, 'text/plain')
  const residentBefore = residentBytes(server.pid)
  const readers = Array.from({ length: options.readers }, () => {
    return new SseReader(server.origin, path, 'now', {
      onData: () => problems.push('a reader received data that nobody appended'),
      onFailure: (reason) => problems.push(reason),
    })
  })
  await startReaders(readers)
  await pause(SETTLE_MS)
  const residentConnected = residentBytes(server.pid)
  const meter = new UsageMeter(server.pid)
  await pause(options.seconds * 1000)
  const usage = meter.finish()
  const residentEnd = residentBytes(server.pid)
  const total = (count: (reader: SseReader) => number): number =>
    readers.reduce((sum, r) => sum + count(r), 0)
  const reconnects = total((reader) => reader.reconnects)
  const drops = total((reader) => reader.drops)
  const sockets = total((reader) => reader.socketsOpened)
  for (const reader of readers) reader.stop()
  await deleteStream(connection, path)
  connection.abort()
  const kibibytesEach = (bytes: number): number => (bytes - residentBefore) / 1024 / options.readers
  const percent = (ms: number): number => (100 * ms) / usage.wallMs
  const metrics = [
    { key: 'serverCpu', label: 'server %core', value: percent(usage.serverCpuMs), digits: 3 },
    { key: 'memory', label: 'KiB/reader connected', value: kibibytesEach(residentConnected), digits: 1 },
    { key: 'memoryEnd', label: 'KiB/reader at end', value: kibibytesEach(residentEnd), digits: 1 },
    { key: 'reconnects', label: 'reconnects/reader', value: reconnects / options.readers, digits: 2 },
    { key: 'sockets', label: 'sockets/reader', value: sockets / options.readers, digits: 2 },
    { key: 'drops', label: 'broken responses', value: drops, digits: 0 },
    { key: 'other', label: 'other %core', value: percent(usage.otherCpuMs), digits: 1 },
  ]
  return { metrics, problems: problems.slice(0, 5) }
}

export function idleScenario(options: IdleOptions): Scenario {
  return {
    name: 'sse-idle',
    title: `SSE idle: ${options.readers} readers for ${options.seconds} s`,
    parameters: { ...options },
    needsStorage: false,
    maxRounds: 1,
    prepare: async (server) => {
      await measure(server, 'warm-up', { readers: 50, seconds: 1 })
    },
    round: (server, round) => measure(server, String(round), options),
  }
}
