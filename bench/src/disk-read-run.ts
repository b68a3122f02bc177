/** Catch-up reads of one large stream from disk: with the files in the page cache, and without. */
import { crc32 } from 'node:zlib'
import { dropPageCache, makeDirectory, removeDirectory } from './data-directory.ts'
import { HttpConnection, type Origin } from './http-connection.ts'
import { type MeasuredTable, mebibytes } from './measured-table.ts'
import { patternBytes } from './pattern-bytes.ts'
import { median } from './percentile.ts'
import { UsageMeter } from './process-usage.ts'
import { appendBytes, createStream, readStream, streamPath } from './stream-client.ts'
import { startTargetIn, type TargetName, type TargetProcess } from './target-process.ts'

export interface DiskReadOptions {
  readonly targets: readonly TargetName[]
  readonly root: string
  readonly sizeBytes: number
  readonly rounds: number
  readonly cold: boolean
}

interface Filled {
  readonly name: TargetName
  readonly directory: string
  readonly checksum: number
}

interface Pass {
  readonly target: TargetName
  readonly cache: 'cold' | 'warm'
  readonly mibPerSecond: number
  readonly cpuUsPerMib: number
}

const APPEND_BYTES = 65_536
const PATH = streamPath('bench-disk-read')

/** Appends the whole stream and stops the server, so that nothing of it is in the server's memory afterwards. */
async function fill(name: TargetName, options: DiskReadOptions): Promise<Filled> {
  const directory = makeDirectory(options.root)
  const server = await startTargetIn(directory, name)
  const connection = new HttpConnection(server.origin)
  await createStream(connection, PATH, 'application/octet-stream')
  let checksum = 0
  for (let written = 0; written < options.sizeBytes; written += APPEND_BYTES) {
    const body = patternBytes(APPEND_BYTES, written + 1)
    checksum = crc32(body, checksum)
    await appendBytes(connection, PATH, body)
  }
  connection.abort()
  await server.stop()
  return { name, directory, checksum }
}

async function readWhole(origin: Origin): Promise<{ bytes: number; checksum: number }> {
  const connection = new HttpConnection(origin)
  let bytes = 0
  let checksum = 0
  await readStream(connection, PATH, {
    onBytes: (piece) => {
      bytes += piece.length
      checksum = crc32(piece, checksum)
    },
    onResponseEnd: () => {},
  })
  connection.abort()
  return { bytes, checksum }
}

async function pass(
  server: TargetProcess,
  filled: Filled,
  cache: Pass['cache'],
  options: DiskReadOptions,
  problems: string[],
): Promise<Pass> {
  if (cache === 'cold') dropPageCache()
  const meter = new UsageMeter(server.pid)
  const { bytes, checksum } = await readWhole(server.origin)
  const usage = meter.finish()
  if (bytes !== options.sizeBytes || checksum !== filled.checksum) {
    problems.push(`${filled.name}, ${cache}: ${bytes} of ${options.sizeBytes} bytes, CRC-32 ${checksum}`)
  }
  const size = mebibytes(options.sizeBytes)
  return {
    target: filled.name,
    cache,
    mibPerSecond: size / (usage.wallMs / 1000),
    cpuUsPerMib: (usage.serverCpuMs * 1000) / size,
  }
}

/** Each round starts the server anew: its own caches are empty. */
async function round(filled: Filled, options: DiskReadOptions, problems: string[]): Promise<Pass[]> {
  const server = await startTargetIn(filled.directory, filled.name)
  try {
    const passes: Pass[] = []
    if (options.cold) passes.push(await pass(server, filled, 'cold', options, problems))
    else await readWhole(server.origin)
    passes.push(await pass(server, filled, 'warm', options, problems))
    return passes
  } finally {
    await server.stop()
  }
}

function rowsOf(passes: readonly Pass[], options: DiskReadOptions): string[][] {
  return options.targets.flatMap((target) => {
    return (options.cold ? ['cold', 'warm'] : ['warm']).map((cache) => {
      const own = passes.filter((one) => one.target === target && one.cache === cache)
      const rates = own.map(({ mibPerSecond }) => mibPerSecond)
      return [
        `${target}, ${cache}`,
        median(rates).toFixed(0),
        `${Math.min(...rates).toFixed(0)} to ${Math.max(...rates).toFixed(0)}`,
        median(own.map(({ cpuUsPerMib }) => cpuUsPerMib)).toFixed(0),
      ]
    })
  })
}

export async function measureDiskReads(
  options: DiskReadOptions,
  progress: (text: string) => void,
): Promise<MeasuredTable> {
  const filled: Filled[] = []
  const passes: Pass[] = []
  const problems: string[] = []
  try {
    for (const target of options.targets) {
      progress(`filling ${target}`)
      filled.push(await fill(target, options))
    }
    for (let turn = 0; turn < options.rounds * filled.length; turn += 1) {
      const one = filled[(turn + Math.floor(turn / filled.length)) % filled.length]
      if (one === undefined) continue
      progress(`reading ${one.name}`)
      passes.push(...(await round(one, options, problems)))
    }
  } finally {
    for (const { directory } of filled) removeDirectory(directory)
  }
  const head = ['target, page cache', 'MiB/s', 'lowest to highest', 'server CPU µs/MiB']
  return {
    title: `Catch-up from disk: ${mebibytes(options.sizeBytes)} MiB, one connection, median of ${options.rounds}`,
    rows: [head, ...rowsOf(passes, options)],
    values: { options, passes },
    problems,
  }
}
