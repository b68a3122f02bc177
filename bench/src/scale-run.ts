/**
 * Very many streams: how long they take to create, how long a server takes to start on them after a clean stop and
 * after a crash with a loaded journal, and how much memory it has then.
 */
import { type AppendFormat, plainFormat } from './append-format.ts'
import { AppendLoad, verifyAppends } from './append-load.ts'
import { dropPageCache, makeDirectory, removeDirectory, spaceOf } from './data-directory.ts'
import { HttpConnection, type Origin } from './http-connection.ts'
import { type MeasuredTable, mebibytes } from './measured-table.ts'
import { median } from './percentile.ts'
import { ownResidentBytes, residentBytes, UsageMeter } from './process-usage.ts'
import { forEachOver, requestText, streamPath, UnexpectedStatus } from './stream-client.ts'
import { startTargetIn, type TargetName, type TargetProcess } from './target-process.ts'

export interface ScaleOptions {
  readonly target: TargetName
  readonly root: string
  readonly streams: number
  readonly connections: number
  /** Starts of each kind. */
  readonly rounds: number
  /** Appends between a start and the SIGKILL that follows. */
  readonly requests: number
  /** Also starts with an empty page cache. */
  readonly cold: boolean
}

/** How a server was stopped before it is started. */
type Stop = 'clean' | 'clean, cold' | 'killed' | 'killed, cold'

interface Start {
  readonly after: Stop
  /** From the start of the process to the first answered read. */
  readonly startMs: number
  readonly residentMiB: number
  /** Without pages of files. */
  readonly ownMiB: number
  /** Journal records that were applied again. */
  readonly replayed: number
}

const FORMAT: AppendFormat = plainFormat('application/octet-stream', 100)
/** Streams that get appends before a crash: they are spread over all of them. */
const LOADED_STREAMS = 100_000
const FIRST_WRITER = 999_999

function pathOf(index: number): string {
  return streamPath(`scale/${String(index).padStart(9, '0')}`)
}

async function create(origin: Origin, options: ScaleOptions): Promise<void> {
  const paths = Array.from({ length: options.streams }, (_, index) => pathOf(index))
  const headers = { 'Content-Type': FORMAT.contentType }
  await forEachOver(
    origin,
    paths,
    async (connection, path) => {
      const body = FORMAT.encode(FIRST_WRITER, 1)
      const answer = await connection.exchange(requestText(origin, 'PUT', path, headers, body))
      if (answer.status !== 201) throw new UnexpectedStatus(`PUT ${path}`, answer)
    },
    options.connections,
  )
}

async function read(origin: Origin, path: string): Promise<void> {
  const connection = new HttpConnection(origin)
  const answer = await connection.exchange(requestText(origin, 'GET', `${path}?offset=-1`))
  connection.abort()
  if (answer.status !== 200) throw new UnexpectedStatus(`GET ${path}`, answer)
}

async function start(
  directory: string,
  options: ScaleOptions,
  after: Stop,
): Promise<{ server: TargetProcess; start: Start }> {
  if (after.endsWith('cold')) dropPageCache()
  const startedMs = performance.now()
  const server = await startTargetIn(directory, options.target)
  await read(server.origin, pathOf(options.streams - 1))
  const startMs = performance.now() - startedMs
  const replayed = Number(/(\d+) writes replayed/.exec(server.greeting)?.[1] ?? 0)
  const residentMiB = mebibytes(residentBytes(server.pid))
  const ownMiB = mebibytes(ownResidentBytes(server.pid))
  return { server, start: { after, startMs, residentMiB, ownMiB, replayed } }
}

/** Appends to streams spread over all, crashes the server, starts it again, and reads everything back. */
async function crash(
  directory: string,
  options: ScaleOptions,
  running: TargetProcess,
  round: number,
  after: Stop,
): Promise<{ server: TargetProcess; start: Start; problems: readonly string[] }> {
  const count = Math.min(LOADED_STREAMS, options.streams)
  const step = Math.floor(options.streams / count)
  // Each round has streams of its own, as far as there are enough.
  const paths = Array.from({ length: count }, (_, index) => pathOf(index * step + (round % step)))
  const { connections, requests } = options
  const load = new AppendLoad(running.origin, paths, {
    format: FORMAT,
    connections,
    requests,
    maxSeconds: 300,
  })
  if (round < step) for (const index of paths.keys()) load.ledger.acknowledge(index, FIRST_WRITER, 1)
  await load.run(requests)
  await running.kill()
  load.close()
  const started = await start(directory, options, after)
  const problems = load.failed === 0 ? [] : [`${load.failed} appends failed`, ...load.failures]
  // Where rounds meet in a stream, the ledger of one does not know the appends of the other.
  if (round < step) problems.push(...(await verifyAppends(started.server.origin, paths, load, FORMAT)))
  return { ...started, problems }
}

async function measureStarts(
  directory: string,
  options: ScaleOptions,
  running: TargetProcess,
  progress: (text: string) => void,
): Promise<{ starts: Start[]; stopMs: number[]; problems: string[] }> {
  const starts: Start[] = []
  const stopMs: number[] = []
  const problems: string[] = []
  let server = running
  const kinds: readonly Stop[] = options.cold ? ['clean', 'clean, cold'] : ['clean']
  const kills: readonly Stop[] = options.cold ? ['killed', 'killed, cold'] : ['killed']
  for (let round = 0; round < options.rounds; round += 1) {
    for (const after of kinds) {
      progress(`round ${round + 1} of ${options.rounds}: start after a ${after} stop`)
      const stoppedMs = performance.now()
      await server.stop()
      stopMs.push(performance.now() - stoppedMs)
      const started = await start(directory, options, after)
      server = started.server
      starts.push(started.start)
    }
    for (const [at, after] of kills.entries()) {
      progress(`round ${round + 1} of ${options.rounds}: start after SIGKILL`)
      const crashed = await crash(directory, options, server, round * kills.length + at, after)
      server = crashed.server
      starts.push(crashed.start)
      problems.push(...crashed.problems)
    }
  }
  await server.stop()
  return { starts, stopMs, problems }
}

function startRows(starts: readonly Start[]): string[][] {
  const kinds = [...new Set(starts.map(({ after }) => after))]
  return kinds.flatMap((kind) => {
    const all = starts.filter(({ after }) => after === kind)
    const seconds = all.map(({ startMs }) => startMs / 1000)
    const replayed = median(all.map((one) => one.replayed))
    const journal = kind.startsWith('killed') ? `, ${replayed} writes in the journal` : ''
    const range = `${Math.min(...seconds).toFixed(2)} to ${Math.max(...seconds).toFixed(2)}`
    const resident = median(all.map(({ residentMiB }) => residentMiB)).toFixed(0)
    const own = median(all.map(({ ownMiB }) => ownMiB)).toFixed(0)
    return [
      [`start after: ${kind}${journal}`, `${median(seconds).toFixed(2)} s (${range})`],
      ['resident memory after it', `${own} MiB, with pages of files ${resident} MiB`],
    ]
  })
}

export async function measureScale(
  options: ScaleOptions,
  progress: (text: string) => void,
): Promise<MeasuredTable> {
  const directory = makeDirectory(options.root)
  try {
    const server = await startTargetIn(directory, options.target)
    progress(`creating ${options.streams} streams`)
    const meter = new UsageMeter(server.pid)
    await create(server.origin, options)
    const usage = meter.finish()
    const residentMiB = mebibytes(residentBytes(server.pid))
    const ownMiB = mebibytes(ownResidentBytes(server.pid))
    const { starts, stopMs, problems } = await measureStarts(directory, options, server, progress)
    const space = spaceOf(directory)
    const seconds = usage.wallMs / 1000
    const rows = [
      [`${options.streams} streams, ${options.target}`, `median of ${options.rounds} (lowest to highest)`],
      [
        `create over HTTP, ${options.connections} connections, ${FORMAT.sizeBytes} B each`,
        `${seconds.toFixed(1)} s (${(options.streams / seconds).toFixed(0)}/s)`,
      ],
      ['server CPU per creation', `${((usage.serverCpuMs * 1000) / options.streams).toFixed(1)} µs`],
      [
        'resident memory after creating',
        `${ownMiB.toFixed(0)} MiB, with pages of files ${residentMiB.toFixed(0)} MiB`,
      ],
      ['clean stop', `${(median(stopMs) / 1000).toFixed(2)} s`],
      ...startRows(starts),
      ['data directory, allocated', `${mebibytes(space.allocatedBytes).toFixed(0)} MiB`],
    ]
    const values = { options, usage, residentMiB, ownMiB, stopMs, starts, space }
    return { title: `Scale: ${options.streams} streams`, rows, values, problems }
  } finally {
    removeDirectory(directory)
  }
}
