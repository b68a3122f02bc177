/** Bytes on disk per byte stored, after a clean stop has written everything down. */
import { join } from 'node:path'
import { plainFormat } from './append-format.ts'
import { AppendLoad, verifyAppends } from './append-load.ts'
import { makeDirectory, removeDirectory, type Space, spaceOf } from './data-directory.ts'
import { type MeasuredTable, mebibytes } from './measured-table.ts'
import { createStream, forEachOver, streamPath } from './stream-client.ts'
import { startTargetIn } from './target-process.ts'

export interface SpaceOptions {
  readonly root: string
  readonly connections: number
  /** Payload to store in each case. */
  readonly bytes: number
  readonly streams: readonly number[]
  readonly appendBytes: readonly number[]
}

interface SpaceResult {
  readonly streams: number
  readonly appendBytes: number
  readonly storedBytes: number
  readonly folders: Readonly<Record<(typeof FOLDERS)[number], Space>>
  readonly whole: Space
  readonly problems: readonly string[]
}

const FOLDERS = ['journal', 'blocks', 'home'] as const

async function measureCase(
  options: SpaceOptions,
  streams: number,
  appendBytes: number,
): Promise<SpaceResult> {
  const directory = makeDirectory(options.root)
  try {
    const format = plainFormat('application/octet-stream', appendBytes)
    const paths = Array.from({ length: streams }, (_, index) => streamPath(`space/${index}`))
    const requests = Math.ceil(options.bytes / appendBytes)
    const server = await startTargetIn(directory, 'millrace-durable')
    await forEachOver(server.origin, paths, (connection, path) => {
      return createStream(connection, path, format.contentType)
    })
    const { connections } = options
    const load = new AppendLoad(server.origin, paths, { format, connections, requests, maxSeconds: 600 })
    await load.run(requests)
    load.close()
    await server.stop()
    const data = join(directory, 'data')
    const [journal, blocks, home] = FOLDERS.map((folder) => spaceOf(join(data, folder)))
    const whole = spaceOf(data)
    const again = await startTargetIn(directory, 'millrace-durable')
    const problems = await verifyAppends(again.origin, paths, load, format)
    await again.stop()
    if (journal === undefined || blocks === undefined || home === undefined) throw new Error('no folders')
    return {
      streams,
      appendBytes,
      storedBytes: load.latencies.count * appendBytes,
      folders: { journal, blocks, home },
      whole,
      problems: load.failed === 0 ? problems : [...problems, `${load.failed} appends failed`],
    }
  } finally {
    removeDirectory(directory)
  }
}

function row(result: SpaceResult): string[] {
  const { streams, appendBytes, storedBytes, folders, whole } = result
  const perByte = (bytes: number): string => (bytes / storedBytes).toFixed(3)
  const grown = folders.blocks.allocatedBytes + folders.home.allocatedBytes
  return [
    `${appendBytes} B, ${streams} stream(s)`,
    mebibytes(storedBytes).toFixed(0),
    perByte(folders.blocks.allocatedBytes),
    perByte(folders.home.allocatedBytes),
    perByte(grown),
    perByte(whole.allocatedBytes),
    perByte(whole.apparentBytes),
    `${mebibytes(folders.journal.allocatedBytes).toFixed(0)} MiB`,
  ]
}

export async function measureSpace(
  options: SpaceOptions,
  progress: (text: string) => void,
): Promise<MeasuredTable> {
  const results: SpaceResult[] = []
  for (const appendBytes of options.appendBytes) {
    for (const streams of options.streams) {
      progress(`space: ${appendBytes} B over ${streams} stream(s)`)
      results.push(await measureCase(options, streams, appendBytes))
    }
  }
  const head = [
    'appends',
    'stored MiB',
    'blocks / byte',
    'home / byte',
    'blocks + home / byte',
    'whole, allocated / byte',
    'whole, apparent / byte',
    'journal',
  ]
  return {
    title: 'Space: bytes on disk per byte stored, after a clean stop',
    rows: [head, ...results.map(row)],
    values: { options, results },
    problems: results.flatMap(({ problems }) => problems),
  }
}
