/** The bytes of one stream in memory: chunks that only grow, and the ends of its append units. */
import type { OwnRange } from '@millrace/protocol'
import type { AppendUnit } from './storage.ts'

interface Chunk {
  /** Position of the chunk's first byte. */
  readonly from: number
  readonly bytes: Uint8Array
  used: number
}

/** Numbers kept of one append unit. */
const UNIT_NUMBERS = 3
const SMALLEST_CHUNK_BYTES = 128
const LARGEST_CHUNK_BYTES = 64 * 1024
/** Payloads from this size on are kept as they come instead of being copied, if they own their buffer. */
const KEEP_BYTES = 8 * 1024

/** Stands for an array that has not been made yet. */
const NONE: never[] = []

function allocateOwn(bytes: number): Uint8Array {
  return new Uint8Array(bytes)
}

/** Append-only bytes of one incarnation. Pieces handed out are views of bytes that never change again. */
export class MemoryStream {
  #chunks: Chunk[] = NONE
  /** End, time and messages of each unit in turn: one array, because a million streams have one each. */
  #units: number[] = NONE
  readonly #from: number
  readonly #allocate: (bytes: number) => Uint8Array
  #tail: number

  /** `allocate` gives memory that nobody else writes to; many streams that end together may share a buffer. */
  constructor(from: number, allocate: (bytes: number) => Uint8Array = allocateOwn) {
    this.#from = from
    this.#tail = from
    this.#allocate = allocate
  }

  /** Position of the first byte kept here. */
  get from(): number {
    return this.#from
  }

  /** Position just past the last byte. */
  get tail(): number {
    return this.#tail
  }

  /** All append units, in order. */
  *units(): IterableIterator<AppendUnit> {
    let from = this.#from
    for (let at = 0; at < this.#unitCount; at++) {
      const unit = this.#unit(at, from)
      yield unit
      from = unit.to
    }
  }

  /** Bytes of memory that appending this payload would newly take. */
  growth(payload: Uint8Array): number {
    if (isKept(payload)) return payload.length
    return this.#room() >= payload.length ? 0 : this.#nextChunkBytes(payload.length)
  }

  append(payload: Uint8Array, atMs: number, messages: number): void {
    if (isKept(payload)) this.#addChunk(payload, payload.length)
    else this.#copy(payload)
    this.#tail += payload.length
    // The first ones make their array, no larger than it has to be: an empty one grows to seventeen places.
    if (this.#units === NONE) this.#units = [this.#tail, atMs, messages]
    else this.#units.push(this.#tail, atMs, messages)
  }

  read(range: OwnRange): readonly Uint8Array[] {
    if (range.from < this.#from || range.to > this.#tail) {
      throw new RangeError(`bytes ${range.from} to ${range.to} are not stored here`)
    }
    const pieces: Uint8Array[] = []
    let at = range.from
    for (let i = this.#chunkAt(at); at < range.to; i++) {
      const chunk = this.#chunks[i]
      if (chunk === undefined) throw new RangeError(`no chunk at ${at}`)
      const end = Math.min(range.to, chunk.from + chunk.used)
      pieces.push(chunk.bytes.subarray(at - chunk.from, end - chunk.from))
      at = end
    }
    return pieces
  }

  unitAt(position: number): AppendUnit {
    const at = firstAbove(this.#unitCount, (i) => this.#unitEnd(i) > position)
    if (at === this.#unitCount || position < this.#from) throw new RangeError(`no append unit at ${position}`)
    return this.#unit(at, at === 0 ? this.#from : this.#unitEnd(at - 1))
  }

  get #unitCount(): number {
    return this.#units.length / UNIT_NUMBERS
  }

  #unitEnd(at: number): number {
    return this.#units[at * UNIT_NUMBERS] ?? this.#tail
  }

  #unit(at: number, from: number): AppendUnit {
    const [atMs = 0, messages = 0] = [this.#units[at * UNIT_NUMBERS + 1], this.#units[at * UNIT_NUMBERS + 2]]
    return { from, to: this.#unitEnd(at), atMs, messages }
  }

  #copy(payload: Uint8Array): void {
    if (this.#room() < payload.length) {
      this.#addChunk(this.#allocate(this.#nextChunkBytes(payload.length)), 0)
    }
    const chunk = this.#chunks.at(-1)
    if (chunk === undefined) return
    chunk.bytes.set(payload, chunk.used)
    chunk.used += payload.length
  }

  #addChunk(bytes: Uint8Array, used: number): void {
    const chunk = { from: this.#tail, bytes, used }
    if (this.#chunks === NONE) this.#chunks = [chunk]
    else this.#chunks.push(chunk)
  }

  #room(): number {
    const chunk = this.#chunks.at(-1)
    return chunk === undefined ? 0 : chunk.bytes.length - chunk.used
  }

  /** Chunks double with the stream, so that small streams stay small and large ones have few chunks. */
  #nextChunkBytes(needed: number): number {
    const grown = Math.min(LARGEST_CHUNK_BYTES, Math.max(SMALLEST_CHUNK_BYTES, this.#tail - this.#from))
    return Math.max(grown, needed)
  }

  #chunkAt(position: number): number {
    return firstAbove(this.#chunks.length, (i) => {
      const chunk = this.#chunks[i]
      return chunk !== undefined && chunk.from + chunk.used > position
    })
  }
}

function isKept(payload: Uint8Array): boolean {
  return payload.length >= KEEP_BYTES && payload.length === payload.buffer.byteLength
}

/** The first index below `count` for which the (monotone) test holds, or `count`. */
function firstAbove(count: number, holds: (index: number) => boolean): number {
  let low = 0
  let high = count
  while (low < high) {
    const middle = (low + high) >>> 1
    if (holds(middle)) high = middle
    else low = middle + 1
  }
  return low
}
