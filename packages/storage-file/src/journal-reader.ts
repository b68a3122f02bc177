/**
 * Reads a journal back after a stop of any kind. The question it answers for every byte that does not parse: was it
 * never promised (a torn tail, to be cut), or was it promised and is damaged (refuse to start)?
 */
import { type Disk, DiskFull } from './disk.ts'
import type { RetiredSegment } from './journal.ts'
import {
  isSegmentHeader,
  JOURNAL_FOLDER,
  SEGMENT_HEADER_BYTES,
  type Segment,
  segmentHeader,
  segmentName,
  segmentNumber,
} from './journal-segment.ts'
import {
  decodeBody,
  isIntact,
  RECORD_ALIGN,
  RECORD_HEADER_BYTES,
  type RecordBody,
  readHeader,
  recordBytes,
} from './record-codec.ts'

/** Where a record's fixed part has the number of its segment. */
const SEGMENT_AT = 8

/** A record in its place. */
export interface FoundRecord {
  readonly sequence: number
  readonly body: RecordBody
}

/** What is known once the journal has been read. */
export interface JournalEnd {
  readonly segments: readonly RetiredSegment[]
  readonly nextSegment: number
  readonly lastSequence: number
  /** Bytes of records that were begun but never promised. */
  readonly cutBytes: number
  /** Everything past `applied` was written again in its own place; false if a full disk had no room even for that. */
  readonly isAnew: boolean
}

/** What the home knows of the journal. */
export interface KnownJournal {
  /** Everything up to this sequence is in the home for good. */
  readonly applied: number
  /** This segment or a later one must be there; 0: none need be. */
  readonly segment: number
}

/** Bytes below the known-synced mark are not what was written; starting would lose acknowledged data silently. */
export class JournalDamaged extends Error {
  override readonly name = 'JournalDamaged'

  constructor(what: string) {
    super(
      `${what}. What is missing was acknowledged and is nowhere else, so nothing was changed: put the data directory back from a backup.`,
    )
  }
}

/**
 * Hands every record past `applied` to `apply`, in order. Records up to there are in the home for good: they may be
 * missing, damaged or out of line, because their segments are on their way out. Throws `JournalDamaged` rather than
 * leaving a promised record out.
 *
 * What was read may be in the page cache only, and a sync that failed before the crash may have left it there as
 * clean: the next sync would skip it. So it is written once more, the same bytes in the same place; whoever then syncs
 * the segment has it on the disk for sure. A power cut in between finds nothing new: each sector has either what it
 * had or what it should have had.
 */
export async function readJournal(
  disk: Disk,
  { applied, segment: known }: KnownJournal,
  apply: (record: FoundRecord) => void,
): Promise<JournalEnd> {
  const numbers = (await disk.list(JOURNAL_FOLDER))
    .flatMap((name) => segmentNumber(name) ?? [])
    .sort((a, b) => a - b)
  const newest = numbers.at(-1) ?? 0
  if (newest < known) throw new JournalDamaged(segmentsMissing(newest, known))
  const segments: RetiredSegment[] = []
  const torn: { readonly segment: Segment; readonly endBytes: number }[] = []
  let lastSequence = applied
  let cutBytes = 0
  let isAnew = true
  for (const number of numbers) {
    const file = await disk.open(segmentName(number))
    const segment: Segment = { number, file, sizeBytes: await file.size() }
    const read = await file.read(0, segment.sizeBytes)
    const bytes = Buffer.from(read.buffer, read.byteOffset, read.length)
    if (known > 0 && isEmptied(bytes, number, newest)) throw new JournalDamaged(segmentEmptied(number))
    const found = scan(bytes, number, lastSequence)
    if (found.damage !== undefined) throw new JournalDamaged(`${segmentName(number)}: ${found.damage}`)
    let isWanted = false
    for (const at of found.records) {
      const { sequence, bodyBytes } = readHeader(bytes, at)
      if (sequence <= applied) continue
      apply({ sequence, body: decodeBody(bytes.subarray(at, at + RECORD_HEADER_BYTES + bodyBytes)) })
      lastSequence = sequence
      isWanted = true
    }
    cutBytes += found.cutBytes
    if (found.cutBytes > 0) torn.push({ segment, endBytes: found.endBytes })
    if (isWanted && !(await writeAgain(segment, bytes.subarray(0, found.endBytes)))) isAnew = false
    // One without a record that is wanted may go at once: starts that end early leave one each.
    segments.push({ segment, lastSequence: isWanted ? lastSequence : applied })
  }
  // Only once all of the journal is found to be sound: a journal that is refused stays as it is, for whoever can mend
  // it. What is cut must not be found again by a later recovery, when records follow in the next segment.
  for (const { segment, endBytes } of torn) await cut(segment, endBytes)
  return { segments, nextSegment: newest + 1, lastSequence, cutBytes, isAnew }
}

/** What is to be said of a journal that should go on to a segment and does not. */
export function segmentsMissing(newest: number, known: number): string {
  const found = newest === 0 ? 'it has none' : `the last one it has is ${segmentName(newest)}`
  return `The journal has lost its end: ${segmentName(known)} or a later segment was there, but ${found}`
}

/**
 * Whether a segment has lost its header and every record. No crash does that: the header is synced before the segment
 * has its name. Only one that is being made into the next has some or all of that one's header, and nothing in it is
 * needed.
 */
export function isEmptied(bytes: Buffer, number: number, newest: number): boolean {
  const header = bytes.subarray(0, SEGMENT_HEADER_BYTES)
  if (isSegmentHeader(header, number)) return false
  if (number === newest && isTornBetween(header, segmentHeader(number), segmentHeader(number + 1)))
    return false
  return nextIntact(bytes, SEGMENT_HEADER_BYTES, number, 0) === undefined
}

function isTornBetween(bytes: Buffer, old: Buffer, next: Buffer): boolean {
  return bytes.length === next.length && bytes.every((byte, at) => byte === old[at] || byte === next[at])
}

/** What is to be said of it. */
export function segmentEmptied(number: number): string {
  return `${segmentName(number)} has neither its header nor any record left`
}

/** File systems that never write in place need room for it. */
async function writeAgain({ file }: Segment, bytes: Uint8Array): Promise<boolean> {
  try {
    await file.write(0, [bytes])
    return true
  } catch (error) {
    if (error instanceof DiskFull) return false
    throw error
  }
}

async function cut(segment: Segment, endBytes: number): Promise<void> {
  await segment.file.truncate(endBytes)
  await segment.file.sync()
}

interface Scan {
  /** Where intact records begin: a full journal has very many. */
  readonly records: readonly number[]
  readonly cutBytes: number
  /** Where the intact records end. */
  readonly endBytes: number
  readonly damage: string | undefined
}

/** `known` is the sequence up to which nothing can be missing. */
function scan(bytes: Buffer, segment: number, known: number): Scan {
  const records: number[] = []
  let at = SEGMENT_HEADER_BYTES
  let last = known
  if (!isSegmentHeader(bytes.subarray(0, SEGMENT_HEADER_BYTES), segment)) {
    const beyond = lastIntact(bytes, at, segment, known)
    const damage = beyond && 'its header is damaged, but records follow'
    return { records, cutBytes: 0, endBytes: at, damage }
  }
  for (;;) {
    const record = intactAt(bytes, at, segment)
    if (record === undefined) {
      // Damage of what is applied is nobody's loss, as long as the first record that is not follows behind it.
      const next = nextIntact(bytes, at, segment, 0)
      if (next === undefined || next.sequence > last + 1) break
      at = next.at
      continue
    }
    const header = readHeader(record, 0)
    if (header.sequence > last + 1) {
      const damage = `record ${header.sequence} follows record ${last} at byte ${at}`
      return { records, cutBytes: 0, endBytes: at, damage }
    }
    last = Math.max(last, header.sequence)
    records.push(at)
    at += recordBytes(header.bodyBytes)
  }
  const later = lastIntact(bytes, at, segment, last)
  // What a later record knew to be synced was promised; if its predecessor is not there, it was lost since.
  if (later !== undefined && later.synced > last) {
    return { records, cutBytes: 0, endBytes: at, damage: `record ${last + 1} at byte ${at} is damaged` }
  }
  const cutBytes = later === undefined ? begunBytes(bytes, at, segment) : later.end - at
  return { records, cutBytes, endBytes: at, damage: undefined }
}

/** The record that starts at a place, or `undefined` if no intact one of this segment does. */
export function intactAt(bytes: Buffer, at: number, segment: number): Buffer | undefined {
  if (at + RECORD_HEADER_BYTES > bytes.length) return undefined
  const header = readHeader(bytes, at)
  const end = at + RECORD_HEADER_BYTES + header.bodyBytes
  if (header.segment !== segment || header.sequence === 0 || end > bytes.length) return undefined
  const record = bytes.subarray(at, end)
  return isIntact(record) ? record : undefined
}

/** What the records behind a damaged place know. */
export interface Later {
  readonly synced: number
  readonly end: number
}

/** The intact record behind a damaged place that knows most; searched at every place a record could start. */
export function lastIntact(bytes: Buffer, from: number, segment: number, after: number): Later | undefined {
  let found: Later | undefined
  for (let at = placeFrom(bytes, from, segment); at !== undefined; ) {
    const record = intactAt(bytes, at, segment)
    const header = record && readHeader(record, 0)
    if (header === undefined || header.sequence <= after) {
      at = placeFrom(bytes, at + RECORD_ALIGN, segment)
      continue
    }
    found = { synced: Math.max(header.synced, found?.synced ?? 0), end: at + recordBytes(header.bodyBytes) }
    at = placeFrom(bytes, found.end, segment)
  }
  return found
}

/**
 * The next place from one on where a record of this segment could start, going by the segment's number alone: what is
 * behind the last record is mostly zeros, and there the search is native.
 */
function placeFrom(bytes: Buffer, from: number, segment: number): number | undefined {
  const number = Buffer.alloc(4)
  number.writeUInt32LE(segment)
  for (let at = from; at + RECORD_HEADER_BYTES <= bytes.length; ) {
    const place = bytes.indexOf(number, at + SEGMENT_AT) - SEGMENT_AT
    if (place < at) return undefined
    if ((place - from) % RECORD_ALIGN === 0) return place
    at = place + 1
  }
  return undefined
}

/** The first intact record behind a damaged place that is newer than `after`. */
export function nextIntact(
  bytes: Buffer,
  from: number,
  segment: number,
  after: number,
): { readonly at: number; readonly sequence: number } | undefined {
  for (let at = placeFrom(bytes, from, segment); at !== undefined; ) {
    if (intactAt(bytes, at, segment) !== undefined) {
      const { sequence } = readHeader(bytes, at)
      if (sequence > after) return { at, sequence }
    }
    at = placeFrom(bytes, at + RECORD_ALIGN, segment)
  }
  return undefined
}

/** Bytes of a record of this segment that was begun at a place; a guess for reports, not for recovery. */
export function begunBytes(bytes: Buffer, at: number, segment: number): number {
  if (at + RECORD_HEADER_BYTES > bytes.length) return 0
  const header = readHeader(bytes, at)
  if (header.segment !== segment || header.bodyBytes === 0) return 0
  return Math.min(recordBytes(header.bodyBytes), bytes.length - at)
}
