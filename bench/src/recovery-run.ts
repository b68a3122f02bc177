/** How long a start takes for so much journal: a server is crashed with a long one, and copies of it are started. */
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { plainFormat } from './append-format.ts'
import { AppendLoad, verifyAppends } from './append-load.ts'
import { makeDirectory, removeDirectory, writtenBytes } from './data-directory.ts'
import { HttpConnection, type Origin } from './http-connection.ts'
import { type MeasuredTable, mebibytes } from './measured-table.ts'
import { median } from './percentile.ts'
import { startStore } from './store-process.ts'
import type { LimitOverrides } from './store-server.ts'
import { createStream, forEachOver, requestHead, streamPath } from './stream-client.ts'
import { startTargetIn } from './target-process.ts'

export interface RecoveryOptions {
  readonly root: string
  readonly connections: number
  readonly rounds: number
  readonly streams: readonly number[]
  /** Appends of 256 bytes before the crash. */
  readonly requests: number
}

interface RecoveryResult {
  readonly streams: number
  readonly journalBytes: number
  readonly records: number
  readonly startMs: readonly number[]
  readonly problems: readonly string[]
}

const NEVER = 1e12
/** No checkpoint happens, so the journal keeps everything. */
export const NO_CHECKPOINTS: LimitOverrides = {
  segmentBytes: 128 * 1_048_576,
  checkpointBytes: NEVER,
  checkpointRecords: NEVER,
  checkpointAfterMs: 2 ** 31 - 1,
  maxTailBytes: NEVER,
}
const FORMAT = plainFormat('application/octet-stream', 256)

async function firstAnswer(origin: Origin, path: string): Promise<void> {
  const connection = new HttpConnection(origin)
  await connection.exchange(requestHead(origin, 'GET', `${path}?offset=-1`))
  connection.abort()
}

async function measureCase(options: RecoveryOptions, streams: number): Promise<RecoveryResult> {
  const original = makeDirectory(options.root)
  const paths = Array.from({ length: streams }, (_, index) => streamPath(`recovery/${index}`))
  const { connections, requests } = options
  try {
    const server = await startStore(original, 'file-durable', NO_CHECKPOINTS)
    await forEachOver(server.origin, paths, (connection, path) => {
      return createStream(connection, path, FORMAT.contentType)
    })
    const load = new AppendLoad(server.origin, paths, {
      format: FORMAT,
      connections,
      requests,
      maxSeconds: 600,
    })
    await load.run(requests)
    await server.kill()
    load.close()
    const problems = load.failed === 0 ? [] : [`${load.failed} appends failed`]
    const startMs: number[] = []
    let records = 0
    for (let round = 0; round < options.rounds; round += 1) {
      const copy = makeDirectory(options.root)
      cpSync(original, copy, { recursive: true })
      const startedMs = performance.now()
      const again = await startTargetIn(copy, 'millrace-durable')
      await firstAnswer(again.origin, paths[0] ?? '')
      startMs.push(performance.now() - startedMs)
      records = Number(/(\d+) writes replayed/.exec(again.greeting)?.[1] ?? 0)
      if (round === 0) problems.push(...(await verifyAppends(again.origin, paths, load, FORMAT)))
      await again.stop()
      removeDirectory(copy)
    }
    const journalBytes = writtenBytes(join(original, 'data', 'journal'))
    return { streams, journalBytes, records, startMs, problems }
  } finally {
    removeDirectory(original)
  }
}

/** Starts on an empty directory: what a start costs without any journal. */
async function emptyStarts(options: RecoveryOptions): Promise<number> {
  const startMs: number[] = []
  for (let round = 0; round < options.rounds; round += 1) {
    const directory = makeDirectory(options.root)
    const startedMs = performance.now()
    const server = await startTargetIn(directory, 'millrace-durable')
    await firstAnswer(server.origin, streamPath('none'))
    startMs.push(performance.now() - startedMs)
    await server.stop()
    removeDirectory(directory)
  }
  return median(startMs)
}

export async function measureRecovery(
  options: RecoveryOptions,
  progress: (text: string) => void,
): Promise<MeasuredTable> {
  progress('starting on empty directories')
  const emptyMs = await emptyStarts(options)
  const results: RecoveryResult[] = []
  for (const streams of options.streams) {
    progress(`recovery: ${streams} stream(s)`)
    results.push(await measureCase(options, streams))
  }
  const rows = results.map(({ streams, journalBytes, records, startMs }) => {
    const ms = median(startMs)
    return [
      `256 B, ${streams} stream(s)`,
      mebibytes(journalBytes).toFixed(0),
      String(records),
      (ms / 1000).toFixed(2),
      ((ms - emptyMs) / 1000 / (mebibytes(journalBytes) / 100)).toFixed(2),
      (((ms - emptyMs) * 1000) / records).toFixed(1),
    ]
  })
  const head = ['journal of', 'MiB', 'records', 'start s', 's per 100 MiB', 'µs per record']
  return {
    title: `Recovery: start after SIGKILL, median of ${options.rounds}; an empty directory takes ${(emptyMs / 1000).toFixed(2)} s, which the last two columns leave out`,
    rows: [head, ...rows],
    values: { options, emptyMs, results },
    problems: results.flatMap(({ problems }) => problems),
  }
}
