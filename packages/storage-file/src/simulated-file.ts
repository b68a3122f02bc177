/**
 * A file as a disk has it: what a program reads, what is certainly on the medium, and the effects between the two
 * that a power cut may keep, drop or tear. For simulations; it knows no names and no handles.
 */

/** Gives the next number of a seeded sequence, from 0 up to but not including 1. */
export type Random = () => number

const SECTOR_BYTES = 512

interface Written {
  readonly kind: 'written'
  readonly position: number
  readonly bytes: Uint8Array
}

interface Resized {
  readonly kind: 'resized'
  readonly length: number
}

/** A file of a simulated disk. */
export class SimulatedFile {
  readonly #seen: GrowingBytes
  readonly #durable: GrowingBytes
  #unsynced: (Written | Resized)[] = []

  constructor(seen: GrowingBytes = new GrowingBytes(), durable: GrowingBytes = new GrowingBytes()) {
    this.#seen = seen
    this.#durable = durable
  }

  get length(): number {
    return this.#seen.length
  }

  write(position: number, bytes: Uint8Array): void {
    const written: Written = { kind: 'written', position, bytes: bytes.slice() }
    this.#unsynced.push(written)
    applyWhole(this.#seen, written)
  }

  truncate(length: number): void {
    this.#unsynced.push({ kind: 'resized', length })
    this.#seen.resize(length)
  }

  read(position: number, length: number): Uint8Array {
    return this.#seen.slice(position, position + length)
  }

  /** From now on a power cut changes nothing that was written so far. */
  sync(): void {
    for (const effect of this.#unsynced) applyWhole(this.#durable, effect)
    this.#unsynced = []
  }

  /** A sync that fails: what it could not write is forgotten, so that the next one succeeds without it. */
  failSync(random: Random): void {
    for (const effect of this.#unsynced) applySome(this.#durable, effect, random)
    this.#unsynced = []
  }

  flipBit(position: number, bit: number): void {
    this.#seen.flipBit(position, bit)
    this.#durable.flipBit(position, bit)
  }

  /** What the medium has after a power cut. */
  afterPowerCut(random: Random): SimulatedFile {
    const found = this.#durable.copy()
    for (const effect of this.#unsynced) applySome(found, effect, random)
    return new SimulatedFile(found, found.copy())
  }

  /** The same file, with the same effects still unsynced: the operating system has outlived the process. */
  afterProcessEnd(): SimulatedFile {
    const file = new SimulatedFile(this.#seen.copy(), this.#durable.copy())
    file.#unsynced = [...this.#unsynced]
    return file
  }
}

function applyWhole(target: GrowingBytes, effect: Written | Resized): void {
  if (effect.kind === 'resized') target.resize(effect.length)
  else target.write(effect.position, effect.bytes)
}

/** Keeps, drops or tears an effect, without regard to those before and after it. */
function applySome(target: GrowingBytes, effect: Written | Resized, random: Random): void {
  if (effect.kind === 'resized') {
    if (random() < 0.5) target.resize(effect.length)
    return
  }
  const { position, bytes } = effect
  const end = position + bytes.length
  const lengthBefore = target.length
  const fate = Math.floor(random() * 4)
  if (fate === 0) target.write(position, bytes)
  if (fate === 1) target.write(position, bytes.subarray(0, Math.floor(random() * (bytes.length + 1))))
  if (fate === 2) writeSectors(target, position, bytes, random)
  // A file's length is written apart from its bytes: zeros stand where only the length arrived.
  if (end > lengthBefore && random() < 0.5) target.resize(Math.max(target.length, end))
}

/** Sectors arrive in any order: each is there or not. */
function writeSectors(target: GrowingBytes, position: number, bytes: Uint8Array, random: Random): void {
  const end = position + bytes.length
  for (let at = position; at < end; ) {
    const next = Math.min(end, (Math.floor(at / SECTOR_BYTES) + 1) * SECTOR_BYTES)
    if (random() < 0.5) target.write(at, bytes.subarray(at - position, next - position))
    at = next
  }
}

/** Bytes that grow as they are written; what lies between is zero. */
class GrowingBytes {
  #bytes: Uint8Array
  #length: number

  constructor(bytes: Uint8Array = new Uint8Array(0)) {
    this.#bytes = bytes
    this.#length = bytes.length
  }

  get length(): number {
    return this.#length
  }

  write(position: number, bytes: Uint8Array): void {
    if (bytes.length === 0) return
    if (position + bytes.length > this.#length) this.resize(position + bytes.length)
    this.#bytes.set(bytes, position)
  }

  resize(length: number): void {
    if (length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(length, this.#bytes.length * 2))
      grown.set(this.#bytes.subarray(0, this.#length))
      this.#bytes = grown
    }
    if (length < this.#length) this.#bytes.fill(0, length, this.#length)
    this.#length = length
  }

  slice(from: number, to: number): Uint8Array {
    return this.#bytes.slice(Math.min(from, this.#length), Math.min(to, this.#length))
  }

  flipBit(position: number, bit: number): void {
    const byte = this.#bytes[position]
    if (position < this.#length && byte !== undefined) this.#bytes[position] = byte ^ (1 << bit)
  }

  copy(): GrowingBytes {
    return new GrowingBytes(this.slice(0, this.#length))
  }
}
