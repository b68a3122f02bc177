/** One large stream is read from start to tail at full speed, over one connection. */
import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { HttpConnection } from './http-connection.ts'
import { patternBytes } from './pattern-bytes.ts'
import { UsageMeter } from './process-usage.ts'
import { cpuMetrics, type RoundResult, type Scenario, type ServerUnderTest } from './scenario.ts'
import { appendBytes, createStream, readStream, streamPath } from './stream-client.ts'

const MEBIBYTE = 1_048_576

export interface BulkReadOptions {
  readonly sizeBytes: number
  readonly appendBytes: number
  /** Reads of the whole stream in one round. */
  readonly passes: number
}

/** Makes the stream, and reads it once for a full comparison by SHA-256; returns its CRC-32. */
async function prepareBulk(server: ServerUnderTest, path: string, options: BulkReadOptions): Promise<number> {
  const connection = new HttpConnection(server.origin)
  await createStream(connection, path, 'application/octet-stream')
  const sent = createHash('sha256')
  let checksum = 0
  for (let written = 0; written < options.sizeBytes; written += options.appendBytes) {
    const body = patternBytes(options.appendBytes, written + 1)
    sent.update(body)
    checksum = crc32(body, checksum)
    await appendBytes(connection, path, body)
  }
  const received = createHash('sha256')
  await readStream(connection, path, {
    onBytes: (bytes) => {
      received.update(bytes)
    },
    onResponseEnd: () => {},
  })
  connection.abort()
  if (received.digest('hex') !== sent.digest('hex')) {
    throw new Error('the stream that was read differs from what was appended')
  }
  return checksum
}

async function measureBulk(
  server: ServerUnderTest,
  path: string,
  expectedChecksum: number,
  options: BulkReadOptions,
): Promise<RoundResult> {
  const connection = new HttpConnection(server.origin)
  const problems: string[] = []
  let responses = 0
  const meter = new UsageMeter(server.pid)
  for (let pass = 0; pass < options.passes; pass += 1) {
    let length = 0
    let checksum = 0
    responses += await readStream(connection, path, {
      onBytes: (bytes) => {
        length += bytes.length
        checksum = crc32(bytes, checksum)
      },
      onResponseEnd: () => {},
    })
    if (length !== options.sizeBytes || checksum !== expectedChecksum) {
      problems.push(`pass ${pass} read ${length} of ${options.sizeBytes} bytes, CRC-32 ${checksum}`)
    }
  }
  const usage = meter.finish()
  connection.abort()
  const mebibytes = (options.passes * options.sizeBytes) / MEBIBYTE
  const metrics = [
    { key: 'rate', label: 'MiB/s', value: mebibytes / (usage.wallMs / 1000), digits: 0 },
    { key: 'responses', label: 'responses/pass', value: responses / options.passes, digits: 0 },
    ...cpuMetrics(usage, mebibytes, 'MiB'),
  ]
  return { metrics, problems }
}

/** One large stream, read again and again over one connection. */
export function bulkReadScenario(options: BulkReadOptions): Scenario {
  const path = streamPath(`bench-bulk-${process.pid}`)
  const checksums = new Map<string, number>()
  return {
    name: 'catch-up',
    title: `catch-up: ${options.sizeBytes / MEBIBYTE} MiB in appends of ${options.appendBytes / 1024} KiB`,
    parameters: { ...options },
    needsStorage: true,
    prepare: async (server) => {
      checksums.set(server.name, await prepareBulk(server, path, options))
    },
    round: (server) => measureBulk(server, path, checksums.get(server.name) ?? 0, options),
  }
}
