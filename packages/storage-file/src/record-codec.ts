/**
 * Journal records: one per commit, with everything that is needed to apply it again. FORMAT.md draws the bytes; this
 * file is their only reader and writer.
 */
import type { Commit, StateChange } from '@millrace/engine'
import type { StreamEvent, StreamId, StreamPath } from '@millrace/protocol'
import { checksum } from './checksum.ts'

/** Length of the fixed part in front of every record. */
export const RECORD_HEADER_BYTES = 32
/** Records start at multiples of this. */
export const RECORD_ALIGN = 8
const CHECKED_FROM = 8

/** What a record says about itself. */
export interface RecordHeader {
  /** Bytes after the fixed part. */
  readonly bodyBytes: number
  readonly checksum: number
  /** Segment it was written to; a record of a reused file carries another number. */
  readonly segment: number
  readonly metaBytes: number
  readonly sequence: number
  /** All records up to this sequence were known to be synced when this one was written. */
  readonly synced: number
}

/** One change as read back from the journal. */
export interface RecordedChange {
  readonly path: StreamPath
  readonly id: StreamId
  readonly version: number
  readonly atMs: number
  readonly payloadAt: number
  readonly messages: number
  readonly events: readonly StreamEvent[]
  readonly payload: Uint8Array | undefined
}

/** A renewed sliding window as read back from the journal. */
export interface RecordedTouch {
  readonly path: StreamPath
  readonly id: StreamId
  readonly atMs: number
  readonly dueAtMs: number
}

/** The content of a record. */
export interface RecordBody {
  readonly changes: readonly RecordedChange[]
  readonly touches: readonly RecordedTouch[]
}

/** Size of a record with this much after its fixed part, padding included. */
export function recordBytes(bodyBytes: number): number {
  return Math.ceil((RECORD_HEADER_BYTES + bodyBytes) / RECORD_ALIGN) * RECORD_ALIGN
}

/** The descriptive part of a commit: JSON, short for the one shape that is frequent. */
export function encodeMeta(commit: Commit): Buffer {
  return Buffer.from(JSON.stringify(commit.changes.map(encodeChange)))
}

/** The descriptive part of a record that only renews windows. */
export function encodeTouches(touches: readonly RecordedTouch[]): Buffer {
  return Buffer.from(JSON.stringify(touches.map((t) => ['t', t.path, t.id, t.atMs, t.dueAtMs])))
}

function encodeChange(change: StateChange): readonly unknown[] {
  const { path, id, version, atMs, payloadAt, messages, payload, events } = change
  const common = [path, id, version, atMs, payloadAt, messages, payload?.length ?? -1]
  const [event] = events
  if (events.length !== 1 || event?.kind !== 'appended' || event.forgetBeforeMs !== undefined) {
    return ['e', ...common, events]
  }
  const { producer, streamSeq } = event
  return [
    'a',
    ...common,
    event.closes ? 1 : 0,
    producer === undefined ? 0 : [producer.id, producer.epoch, producer.seq],
    streamSeq ?? 0,
  ]
}

/** Writes the fixed part for a body whose checksum (after the header's own checked part) the pieces give. */
export function writeHeader(
  target: Buffer,
  at: number,
  header: Omit<RecordHeader, 'checksum' | 'bodyBytes'>,
  body: readonly Uint8Array[],
): void {
  const bodyBytes = body.reduce((size, piece) => size + piece.length, 0)
  target.writeUInt32LE(bodyBytes, at)
  target.writeUInt32LE(header.segment, at + 8)
  target.writeUInt32LE(header.metaBytes, at + 12)
  writeLong(target, at + 16, header.sequence)
  writeLong(target, at + 24, header.synced)
  let sum = checksum(target.subarray(at, at + 4))
  sum = checksum(target.subarray(at + CHECKED_FROM, at + RECORD_HEADER_BYTES), sum)
  for (const piece of body) sum = checksum(piece, sum)
  target.writeUInt32LE(sum, at + 4)
}

/** Reads a fixed part; says nothing about whether it is true. */
export function readHeader(source: Buffer, at: number): RecordHeader {
  return {
    bodyBytes: source.readUInt32LE(at),
    checksum: source.readUInt32LE(at + 4),
    segment: source.readUInt32LE(at + 8),
    metaBytes: source.readUInt32LE(at + 12),
    sequence: readLong(source, at + 16),
    synced: readLong(source, at + 24),
  }
}

/** Whether a whole record (fixed part and body, without padding) is what was written. */
export function isIntact(record: Buffer): boolean {
  const header = readHeader(record, 0)
  let sum = checksum(record.subarray(0, 4))
  sum = checksum(record.subarray(CHECKED_FROM, RECORD_HEADER_BYTES + header.bodyBytes), sum)
  return sum === header.checksum && header.metaBytes <= header.bodyBytes
}

/** The content of an intact record. */
export function decodeBody(record: Buffer): RecordBody {
  const { metaBytes } = readHeader(record, 0)
  const metaEnd = RECORD_HEADER_BYTES + metaBytes
  // The checksum has vouched for the shape: this is what `encodeMeta` or `encodeTouches` made.
  const rows = JSON.parse(record.toString('utf8', RECORD_HEADER_BYTES, metaEnd)) as readonly Row[]
  const changes: RecordedChange[] = []
  const touches: RecordedTouch[] = []
  let payloadAt = metaEnd
  for (const row of rows) {
    if (row[0] === 't') {
      const [, path, id, atMs, dueAtMs] = row
      touches.push({ path, id, atMs, dueAtMs })
      continue
    }
    const size = row[7]
    const payload = size < 0 ? undefined : record.subarray(payloadAt, payloadAt + size)
    payloadAt += Math.max(0, size)
    changes.push(decodeChange(row, payload))
  }
  return { changes, touches }
}

type Common = [
  StreamPath,
  StreamId,
  version: number,
  atMs: number,
  at: number,
  messages: number,
  size: number,
]
type ChangeRow =
  | readonly ['e', ...Common, events: readonly StreamEvent[]]
  | readonly ['a', ...Common, closes: number, producer: 0 | [string, number, number], streamSeq: 0 | string]
type Row = ChangeRow | readonly ['t', StreamPath, StreamId, atMs: number, dueAtMs: number]

function decodeChange(row: ChangeRow, payload: Uint8Array | undefined): RecordedChange {
  const [, path, id, version, atMs, payloadAt, messages, size] = row
  if (row[0] === 'e') return { path, id, version, atMs, payloadAt, messages, events: row[8], payload }
  const [, , , , , , , , closes, producer, streamSeq] = row
  const event: StreamEvent = {
    kind: 'appended',
    unit: size < 0 ? undefined : { sizeBytes: size, messages },
    closes: closes === 1,
    producer: producer === 0 ? undefined : { id: producer[0], epoch: producer[1], seq: producer[2] },
    streamSeq: streamSeq === 0 ? undefined : streamSeq,
    forgetBeforeMs: undefined,
    atMs,
  }
  return { path, id, version, atMs, payloadAt, messages, events: [event], payload }
}

const HIGH = 0x1_0000_0000

function writeLong(target: Buffer, at: number, value: number): void {
  target.writeUInt32LE(value % HIGH, at)
  target.writeUInt32LE(Math.floor(value / HIGH), at + 4)
}

function readLong(source: Buffer, at: number): number {
  return source.readUInt32LE(at) + source.readUInt32LE(at + 4) * HIGH
}
