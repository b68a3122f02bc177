/**
 * Checks the journal byte by byte. It judges damage as recovery does, but goes on behind it, and changes nothing:
 * what was never promised is a notice, what was is an error.
 */
import type { Disk } from './disk.ts'
import { type CheckReport, type FindingPlace, inFile, RESTORE } from './finding.ts'
import type { ReadableHome } from './home.ts'
import { JOURNAL_KEY } from './home-keys.ts'
import { look } from './home-walk.ts'
import {
  begunBytes,
  type FoundRecord,
  intactAt,
  isEmptied,
  lastIntact,
  nextIntact,
  segmentEmptied,
  segmentsMissing,
} from './journal-reader.ts'
import {
  isSegmentHeader,
  JOURNAL_FOLDER,
  SEGMENT_HEADER_BYTES,
  segmentName,
  segmentNumber,
} from './journal-segment.ts'
import { decodeBody, RECORD_HEADER_BYTES, readHeader, recordBytes } from './record-codec.ts'
import { knownSegment } from './run-marks.ts'

/** What to check the journal against. */
export interface JournalContext {
  readonly disk: Disk
  readonly report: CheckReport
  /** Sequence up to which the home holds everything; `undefined` if the home cannot say. */
  readonly applied: number | undefined
  /** The home knows that this segment or a later one is there; 0: none need be. */
  readonly segment: number
  /** Told every record past `applied`, in order, as long as none is missing. */
  apply(record: FoundRecord): void
}

/** What is known of the journal as a whole. */
export interface JournalSummary {
  readonly segments: readonly SegmentSummary[]
  /** Newest record; `undefined` if there is none. */
  readonly lastSequence: number | undefined
  /** Every record past `applied` was handed on. */
  readonly isComplete: boolean
}

/** One segment. */
export interface SegmentSummary {
  readonly file: string
  readonly sizeBytes: number
  readonly records: number
  /** Bytes of its records, and of those among them that the home does not hold yet. */
  readonly recordBytes: number
  readonly pendingBytes: number
}

/** A sync that failed leaves such records; recovery writes what was in them to the home, and the segment goes. */
const ALREADY_APPLIED = 'Nothing is lost: the home holds what was written there.'

/** Checks every segment, in order. */
export async function checkJournal(context: JournalContext): Promise<JournalSummary> {
  const { disk, report, applied, segment } = context
  const names = await disk.list(JOURNAL_FOLDER)
  const numbers = names.flatMap((name) => segmentNumber(name) ?? []).sort((a, b) => a - b)
  const newest = numbers.at(-1) ?? 0
  const check = new JournalCheck(context)
  const segments: SegmentSummary[] = []
  for (const number of numbers) {
    const file = await disk.open(segmentName(number))
    const bytes = Buffer.from(await file.size().then((size) => file.read(0, size)))
    await file.close()
    segments.push(check.segment(bytes, number, newest))
    report.count('journalSegments')
    await report.progress(bytes.length)
  }
  check.finish()
  const isCut = newest < segment
  const where = inFile(JOURNAL_FOLDER)
  if (isCut) {
    const what = `${segmentsMissing(newest, segment)}.`
    report.find({ severity: 'error', where, what, whatToDo: RESTORE })
  } else if (newest === 0 && applied !== undefined && applied > 0) {
    report.find({ severity: 'notice', where, what: 'The journal has no segment.' })
  }
  return { segments, lastSequence: check.last, isComplete: check.isComplete && !isCut }
}

/** The segment that has to be there; a damaged mark is reported by the walk that comes to it. */
export function segmentKnownTo(home: ReadableHome): number {
  const looked = look(home, JOURNAL_KEY)
  return knownSegment(looked.kind === 'found' ? looked.value : undefined)
}

class JournalCheck {
  readonly #context: JournalContext
  /** Newest record that was seen, or that is known to be damaged. */
  last: number | undefined
  isComplete = true

  constructor(context: JournalContext) {
    this.#context = context
  }

  segment(bytes: Buffer, number: number, newest: number): SegmentSummary {
    const name = segmentName(number)
    if (!isSegmentHeader(bytes.subarray(0, SEGMENT_HEADER_BYTES), number))
      this.#badHeader(bytes, number, newest)
    const summary = { records: 0, recordBytes: 0, pendingBytes: 0 }
    for (let at = SEGMENT_HEADER_BYTES; ; ) {
      const record = intactAt(bytes, at, number)
      if (record === undefined) {
        const next = this.#broken(bytes, at, number)
        if (next === undefined) break
        at = next
        continue
      }
      const size = recordBytes(record.length - RECORD_HEADER_BYTES)
      const { sequence } = readHeader(record, 0)
      this.#take(record, sequence, name, at)
      summary.records++
      summary.recordBytes += size
      if (sequence > (this.#context.applied ?? 0)) summary.pendingBytes += size
      at += size
    }
    this.#context.report.count('journalRecords', summary.records)
    return { file: name, sizeBytes: bytes.length, ...summary }
  }

  /** Writing goes on where the home ends or later: a journal with records never ends before it. */
  finish(): void {
    const { applied, report } = this.#context
    if (applied === undefined || this.last === undefined || this.last >= applied) return
    const what = `The journal ends at record ${this.last}, but ${applied} records were written: the end of its last segment is damaged.`
    report.find({ severity: 'notice', where: inFile(JOURNAL_FOLDER), what: `${what} ${ALREADY_APPLIED}` })
  }

  #badHeader(bytes: Buffer, number: number, newest: number): void {
    const { applied = 0, segment } = this.#context
    if (segment > 0 && isEmptied(bytes, number, newest)) {
      this.isComplete = false
      this.#damaged(inFile(segmentName(number)), `${segmentEmptied(number)}.`, true)
      return
    }
    const later = lastIntact(bytes, SEGMENT_HEADER_BYTES, number, applied)
    if (later !== undefined) this.isComplete = false
    const where = inFile(segmentName(number), 0, SEGMENT_HEADER_BYTES)
    this.#damaged(where, 'The header of the segment is damaged.', later !== undefined)
  }

  /** A record in its place. */
  #take(record: Buffer, sequence: number, file: string, at: number): void {
    const { applied, apply } = this.#context
    const expected = this.last === undefined ? undefined : this.last + 1
    const isGap = expected === undefined ? sequence > (applied ?? sequence) + 1 : sequence !== expected
    if (isGap) {
      const isLoss = applied === undefined || sequence > applied + 1
      const before = expected === undefined ? `the home ends at ${applied}` : `record ${expected - 1}`
      if (isLoss) this.isComplete = false
      const what = `Record ${sequence} follows ${before}: the records between are missing.`
      this.#damaged(inFile(file, at, at + record.length), what, isLoss)
    }
    this.last = Math.max(this.last ?? 0, sequence)
    if (applied === undefined || sequence <= applied || !this.isComplete) return
    apply({ sequence, body: decodeBody(record) })
  }

  /** A place without an intact record; returns where the next one is, if the segment goes on behind damage. */
  #broken(bytes: Buffer, at: number, number: number): number | undefined {
    const { applied = 0, report } = this.#context
    const file = segmentName(number)
    const later = lastIntact(bytes, at, number, this.last ?? 0)
    const next = later && nextIntact(bytes, at, number, this.last ?? 0)
    const missing = (this.last ?? (next === undefined ? applied : next.sequence - 2)) + 1
    if (missing > Math.max(applied, later?.synced ?? 0)) {
      const torn = later === undefined ? begunBytes(bytes, at, number) : later.end - at
      const what = `${torn} bytes of a write that was begun and never answered; the next start cuts them off.`
      if (torn > 0) report.find({ severity: 'notice', where: inFile(file, at, at + torn), what })
      return undefined
    }
    if (next === undefined) return undefined
    const isLoss = next.sequence - 1 > applied
    if (isLoss) this.isComplete = false
    const what = `${recordNames(missing, next.sequence - 1)} damaged.`
    this.#damaged(inFile(file, at, next.at), what, isLoss)
    this.last = next.sequence - 1
    return next.at
  }

  #damaged(where: FindingPlace, what: string, isLoss: boolean): void {
    const { report } = this.#context
    if (isLoss) report.find({ severity: 'error', where, what, whatToDo: RESTORE })
    else report.find({ severity: 'notice', where, what: `${what} ${ALREADY_APPLIED}` })
  }
}

function recordNames(first: number, last: number): string {
  return first >= last ? `Record ${last} is` : `Records ${first} to ${last} are`
}
