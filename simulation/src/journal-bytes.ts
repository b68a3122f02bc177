/** Journal records as bytes, changed so that the store still takes them for its own. */
import { RECORD_HEADER_BYTES, readHeader, recordBytes, writeHeader } from './store-parts.ts'

/** Where the records of a segment begin. */
const FIRST_RECORD_AT = 64

/** The rows of a record's meta: one for each stream that it changes. */
export type MetaRows = readonly (readonly unknown[])[]

type Header = ReturnType<typeof readHeader>

interface PlacedRecord {
  readonly at: number
  readonly header: Header
}

/** Whether a write to a segment is one of records, and not of its header or of room for them. */
export function areRecords(position: number, pieces: readonly Uint8Array[]): boolean {
  return position >= FIRST_RECORD_AT && pieces.some((piece) => piece.some((byte) => byte !== 0))
}

/** The records that a write has put one after the other, with other rows. They must not be longer than before. */
export function withRows(written: Buffer, change: (rows: MetaRows) => MetaRows): Buffer {
  const bytes = Buffer.from(written)
  for (let at = 0; at < bytes.length; ) {
    const header = readHeader(bytes, at)
    const metaAt = at + RECORD_HEADER_BYTES
    const meta = Buffer.from(JSON.stringify(change(rowsOf(bytes, { at, header }))))
    if (meta.length > header.metaBytes) throw new RangeError('the rows of a record have grown')
    bytes.fill(' ', metaAt, metaAt + header.metaBytes)
    meta.copy(bytes, metaAt)
    seal(bytes, at, header)
    at += recordBytes(header.bodyBytes)
  }
  return bytes
}

/** A segment in which every record that was torn, but says what it is, has a checksum that fits. */
export function withTornMended(read: Buffer): Buffer {
  const bytes = Buffer.from(read)
  const segment = segmentOf(bytes)
  for (let at = FIRST_RECORD_AT, last = 0; ; ) {
    const header = headerAt(bytes, at, segment)
    if (header === undefined || (last !== 0 && header.sequence !== last + 1)) return bytes
    if (!isSealed(bytes, at, header)) {
      if (!hasRows(bytes, { at, header })) return bytes
      seal(bytes, at, header)
    }
    last = header.sequence
    at += recordBytes(header.bodyBytes)
  }
}

/** A segment whose last record comes once more, as what follows it, if it only appends. */
export function withLastTwice(read: Buffer): Buffer {
  const bytes = Buffer.from(read)
  const segment = segmentOf(bytes)
  let last: PlacedRecord | undefined
  let end = FIRST_RECORD_AT
  for (;;) {
    const header = headerAt(bytes, end, segment)
    if (header === undefined || !isSealed(bytes, end, header)) break
    last = { at: end, header }
    end += recordBytes(header.bodyBytes)
  }
  const rows = last === undefined ? [] : rowsOf(bytes, last)
  if (last === undefined || rows.length === 0 || rows.some(([kind]) => kind !== 'a')) return bytes
  const { at, header } = last
  const meta = Buffer.from(JSON.stringify(rows.map(followingRow)))
  const bodyEnd = at + RECORD_HEADER_BYTES + header.bodyBytes
  const body = Buffer.concat([meta, bytes.subarray(at + RECORD_HEADER_BYTES + header.metaBytes, bodyEnd)])
  if (end + recordBytes(body.length) > bytes.length) return bytes
  const next = { ...header, metaBytes: meta.length, sequence: header.sequence + 1 }
  body.copy(bytes, end + RECORD_HEADER_BYTES)
  writeHeader(bytes, end, next, [body])
  return bytes
}

/** `["a", path, id, version, atMs, payloadAt, messages, payloadBytes, ...]`, one version and its bytes later. */
function followingRow(row: readonly unknown[]): readonly unknown[] {
  const [kind, path, id, version, atMs, payloadAt, messages, payloadBytes, ...rest] = row
  const grown = Number(payloadAt) + Math.max(0, Number(payloadBytes))
  return [kind, path, id, Number(version) + 1, atMs, grown, messages, payloadBytes, ...rest]
}

function segmentOf(bytes: Buffer): number {
  return bytes.length < FIRST_RECORD_AT ? 0 : bytes.readUInt32LE(8)
}

/** What stands at a place, if it may be the fixed part of a record of the segment. */
function headerAt(bytes: Buffer, at: number, segment: number): Header | undefined {
  if (at + RECORD_HEADER_BYTES > bytes.length) return undefined
  const header = readHeader(bytes, at)
  const fits = at + RECORD_HEADER_BYTES + header.bodyBytes <= bytes.length
  const isSound = header.segment === segment && header.sequence > 0 && header.metaBytes <= header.bodyBytes
  return fits && isSound ? header : undefined
}

function isSealed(bytes: Buffer, at: number, header: Header): boolean {
  const copy = Buffer.from(bytes.subarray(at, at + RECORD_HEADER_BYTES + header.bodyBytes))
  seal(copy, 0, header)
  return readHeader(copy, 0).checksum === header.checksum
}

function seal(bytes: Buffer, at: number, header: Header): void {
  const bodyAt = at + RECORD_HEADER_BYTES
  writeHeader(bytes, at, header, [bytes.subarray(bodyAt, bodyAt + header.bodyBytes)])
}

function hasRows(bytes: Buffer, record: PlacedRecord): boolean {
  try {
    return rowsOf(bytes, record).length > 0
  } catch {
    return false
  }
}

function rowsOf(bytes: Buffer, { at, header }: PlacedRecord): MetaRows {
  const metaAt = at + RECORD_HEADER_BYTES
  const rows: unknown = JSON.parse(bytes.toString('utf8', metaAt, metaAt + header.metaBytes))
  if (!Array.isArray(rows) || !rows.every((row) => Array.isArray(row))) throw new Error('no rows')
  return rows
}
