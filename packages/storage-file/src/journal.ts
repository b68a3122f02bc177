/**
 * The journal: makes a batch of commits durable with one write and one sync, into segments that were allocated
 * before. It is the only thing between an append and its answer. It does not know what records mean.
 */
import { type Disk, DiskFull } from './disk.ts'
import {
  prepareSegment,
  recycleSegment,
  retireSegment,
  SEGMENT_HEADER_BYTES,
  type Segment,
} from './journal-segment.ts'
import type { StoreLimits } from './limits.ts'
import { RECORD_HEADER_BYTES, recordBytes, writeHeader } from './record-codec.ts'

/** A record to be written: a descriptive part and the payloads it speaks of. */
export interface JournalEntry {
  readonly meta: Uint8Array
  readonly payloads: readonly Uint8Array[]
  /** It makes room: it may use the reserve when the disk is full. */
  readonly frees: boolean
}

/** Where writing goes on after recovery. */
export interface JournalStart {
  /** Segments that still hold records, oldest first, with the last sequence in each. */
  readonly old: readonly RetiredSegment[]
  readonly nextSegment: number
  readonly lastSequence: number
  /** The newest segment that was found, if nothing in it is needed: the next one is made of it. */
  readonly recycled: Segment | undefined
  /** The disk is full: the first segment is a small one, and leaves the room to the checkpoint that makes more. */
  readonly isTight?: boolean
}

/** A full segment, kept until a checkpoint has applied all of it. */
export interface RetiredSegment {
  readonly segment: Segment
  readonly lastSequence: number
}

/** Payloads from this size on are written from where they are; smaller ones are gathered into one buffer. */
const GATHER_BYTES = 16 * 1024

/** Appends records and forgets segments. One append at a time. */
export class Journal {
  readonly #disk: Disk
  readonly #limits: StoreLimits
  readonly #old: RetiredSegment[]
  #current: Segment
  #at = SEGMENT_HEADER_BYTES
  #sequence: number
  /** Newest record that is wholly written. */
  #written: number
  #synced: number
  #syncing: Promise<void> | undefined
  /** Set once the disk has failed: from then on nobody knows what of the journal is on it. */
  #failure: unknown
  /** Files of the journal are made and retired one after the other, so that no two steps meet in the spare file. */
  #folderWork: Promise<unknown> = Promise.resolve()
  #next: Promise<Segment | DiskFull> | undefined
  #nextNumber: number
  #gather = Buffer.allocUnsafe(1024 * 1024)

  private constructor(disk: Disk, limits: StoreLimits, start: JournalStart, current: Segment) {
    this.#disk = disk
    this.#limits = limits
    this.#old = [...start.old]
    this.#current = current
    this.#sequence = start.lastSequence
    this.#written = start.lastSequence
    this.#synced = start.lastSequence
    this.#nextNumber = current.number + 1
  }

  /** Starts a fresh segment after everything recovery found. Throws `DiskFull` if there is no room for it. */
  static async start(disk: Disk, limits: StoreLimits, start: JournalStart): Promise<Journal> {
    const current = await firstSegment(disk, start.isTight ? tightBytes(limits) : limits.segmentBytes, start)
    return new Journal(disk, limits, start, current)
  }

  /** Sequence of the newest record. */
  get sequence(): number {
    return this.#sequence
  }

  /** Sequence up to which everything survives a power cut. */
  get synced(): number {
    return this.#synced
  }

  /** Number of the segment that is written to: complete, and there for good. */
  get segment(): number {
    return this.#current.number
  }

  /** Bytes written since the oldest segment that is still kept. */
  get sizeBytes(): number {
    return this.#old.length * this.#limits.segmentBytes + this.#at
  }

  /**
   * Writes records, in order; returns how many of them there was room for. They survive the end of the process when
   * this resolves, and a power cut after `sync`. Throws if the disk fails: then nothing more may be written.
   */
  async append(entries: readonly JournalEntry[]): Promise<number> {
    this.#refuseIfFailed()
    let written = 0
    while (written < entries.length) {
      const fitting = this.#fitting(entries, written)
      if (fitting > 0) {
        await this.#write(entries.slice(written, written + fitting))
        written += fitting
      } else if (this.isTooLarge(entries[written]) || !(await this.#roll())) {
        return written
      }
    }
    return written
  }

  /**
   * Makes everything written so far survive a power cut. One sync at a time: one that fails takes with it what it could
   * not write, and another beside it would succeed without. So whoever comes meanwhile waits, and fails with it.
   */
  async sync(): Promise<void> {
    const upTo = this.#written
    while (this.#synced < upTo) {
      this.#syncing ??= this.#syncWritten().finally(() => {
        this.#syncing = undefined
      })
      await this.#syncing
    }
  }

  /** Forgets segments whose records are all applied elsewhere, durably. */
  async forget(appliedSequence: number): Promise<void> {
    for (let oldest = this.#old[0]; oldest && oldest.lastSequence <= appliedSequence; oldest = this.#old[0]) {
      this.#old.shift()
      const { segment } = oldest
      await this.#inFolder(() => retireSegment(this.#disk, segment))
    }
  }

  async close(): Promise<void> {
    const next = await this.#next?.catch(() => undefined)
    if (next !== undefined && !(next instanceof DiskFull)) await next.file.close()
    for (const { segment } of this.#old) await segment.file.close()
    await this.#current.file.close()
  }

  /** No segment has room for it, however empty. */
  isTooLarge(entry: JournalEntry | undefined): boolean {
    const room = this.#limits.segmentBytes - SEGMENT_HEADER_BYTES - this.#limits.reserveBytes
    return entry !== undefined && sizeOf(entry) > room
  }

  /** How many of the next entries fit into what is left of the segment. */
  #fitting(entries: readonly JournalEntry[], from: number): number {
    let at = this.#at
    let count = 0
    for (let i = from; i < entries.length; i++) {
      const entry = entries[i]
      if (entry === undefined) break
      const reserve = entry.frees ? 0 : this.#limits.reserveBytes
      at += sizeOf(entry)
      if (at > this.#current.sizeBytes - reserve) break
      count++
    }
    return count
  }

  /** One write for as many records as fit. The previous segment is synced before a record lands in the next. */
  async #write(entries: readonly JournalEntry[]): Promise<void> {
    const pieces = this.#encode(entries)
    const at = this.#at
    for (const piece of pieces) this.#at += piece.length
    this.#sequence += entries.length
    const sequence = this.#sequence
    await this.#lastIfItFails(this.#current.file.write(at, pieces))
    this.#written = sequence
    if (this.#at > this.#current.sizeBytes / 2) this.#prepareNext()
  }

  async #syncWritten(): Promise<void> {
    this.#refuseIfFailed()
    const upTo = this.#written
    await this.#lastIfItFails(this.#current.file.sync())
    this.#synced = upTo
  }

  #refuseIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure
  }

  async #lastIfItFails(effect: Promise<void>): Promise<void> {
    try {
      await effect
    } catch (error) {
      this.#failure = error
      throw error
    }
  }

  #encode(entries: readonly JournalEntry[]): readonly Uint8Array[] {
    const gathered = entries.reduce((size, entry) => size + gatheredBytes(entry), 0)
    if (gathered > this.#gather.length) this.#gather = Buffer.allocUnsafe(gathered * 2)
    const pieces: Uint8Array[] = []
    let from = 0
    let at = 0
    let sequence = this.#sequence
    for (const { meta, payloads } of entries) {
      const body = [meta, ...payloads]
      const { number } = this.#current
      sequence++
      writeHeader(
        this.#gather,
        at,
        { segment: number, metaBytes: meta.length, sequence, synced: this.#synced },
        body,
      )
      at += RECORD_HEADER_BYTES
      let bodyBytes = 0
      for (const piece of body) {
        bodyBytes += piece.length
        if (piece.length < GATHER_BYTES) {
          this.#gather.set(piece, at)
          at += piece.length
        } else {
          pieces.push(this.#gather.subarray(from, at), piece)
          from = at
        }
      }
      const padding = recordBytes(bodyBytes) - RECORD_HEADER_BYTES - bodyBytes
      this.#gather.fill(0, at, at + padding)
      at += padding
    }
    pieces.push(this.#gather.subarray(from, at))
    return pieces
  }

  #prepareNext(): void {
    const prepare = (): Promise<Segment> =>
      prepareSegment(this.#disk, this.#nextNumber, this.#limits.segmentBytes)
    this.#next ??= this.#inFolder(prepare).catch((error) => {
      if (error instanceof DiskFull) return error
      throw error
    })
    // Whoever needs the segment sees the failure; until then it is nobody's.
    this.#next.catch(() => undefined)
  }

  #inFolder<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#folderWork.then(work)
    this.#folderWork = done.catch(() => undefined)
    return done
  }

  /** Goes on in the next segment; false if the disk has no room for it. */
  async #roll(): Promise<boolean> {
    this.#prepareNext()
    const next = await this.#next
    this.#next = undefined
    if (next === undefined || next instanceof DiskFull) return false
    await this.sync()
    this.#old.push({ segment: this.#current, lastSequence: this.#sequence })
    this.#current = next
    this.#nextNumber = next.number + 1
    this.#at = SEGMENT_HEADER_BYTES
    return true
  }
}

function firstSegment(disk: Disk, sizeBytes: number, start: JournalStart): Promise<Segment> {
  const { nextSegment, recycled } = start
  if (recycled === undefined) return prepareSegment(disk, nextSegment, sizeBytes)
  return recycleSegment(disk, recycled, nextSegment, sizeBytes)
}

/** Room for some thousand removals, and hardly any that a checkpoint would miss. */
function tightBytes({ reserveBytes, segmentBytes }: StoreLimits): number {
  return Math.min(segmentBytes, SEGMENT_HEADER_BYTES + 4 * reserveBytes)
}

function sizeOf(entry: JournalEntry): number {
  return recordBytes(entry.payloads.reduce((size, payload) => size + payload.length, entry.meta.length))
}

function gatheredBytes(entry: JournalEntry): number {
  const small = entry.payloads.reduce((size, one) => size + (one.length < GATHER_BYTES ? one.length : 0), 0)
  return RECORD_HEADER_BYTES + entry.meta.length + small + 2 * 8
}
