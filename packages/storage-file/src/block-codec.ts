/**
 * Blocks: up to 64 KiB of one stream's consecutive bytes with the append units in them. FORMAT.md draws the bytes;
 * this file is their only reader and writer.
 */
import type { AppendUnit } from '@millrace/engine'
import { type StreamId, streamId } from '@millrace/protocol'
import { checksum } from './checksum.ts'

/** A block in memory. */
export interface Block {
  readonly id: StreamId
  readonly from: number
  readonly to: number
  /** Units that have bytes in the block, in order; the first may begin before it, the last may end after it. */
  readonly units: readonly AppendUnit[]
  readonly payload: Uint8Array
}

const MAGIC = 0x314b4c42 // "BLK1"
const HEADER_BYTES = 32
/** Seven bits in each, for 53. */
const NUMBER_BYTES = 8
const HIGH = 0x1_0000_0000

/** A stored block is not what was written. */
export class BlockDamaged extends Error {
  override readonly name = 'BlockDamaged'
}

/** A block to be written: its payload may be in pieces. */
export interface BlockToWrite extends Omit<Block, 'payload'> {
  readonly pieces: readonly Uint8Array[]
}

/** Bytes that a block takes at most. */
export function mostBlockBytes({ id, from, to, units }: BlockToWrite): number {
  return HEADER_BYTES + id.length + NUMBER_BYTES * (1 + 3 * units.length) + (to - from)
}

/** Writes header, stream id, units and payload into a buffer with room for them; returns how many bytes they took. */
export function encodeBlock(block: BlockToWrite, bytes: Buffer, at: number): number {
  const { id, from, units, pieces } = block
  const idBytes = bytes.write(id, at + HEADER_BYTES, 'latin1')
  const unitsAt = at + HEADER_BYTES + idBytes
  const unitsEnd = writeUnits(bytes, unitsAt, units)
  let end = unitsEnd
  for (const piece of pieces) {
    bytes.set(piece, end)
    end += piece.length
  }
  bytes.writeUInt32LE(MAGIC, at)
  bytes.writeUInt32LE(end - at, at + 8)
  bytes.writeUInt32LE(end - unitsEnd, at + 12)
  bytes.writeUInt32LE(unitsEnd - unitsAt, at + 16)
  bytes.writeUInt32LE(0, at + 20)
  bytes.writeUInt8(idBytes, at + 20)
  bytes.writeUInt32LE(from % HIGH, at + 24)
  bytes.writeUInt32LE(Math.floor(from / HIGH), at + 28)
  bytes.writeUInt32LE(checksum(bytes.subarray(at + 8, end)), at + 4)
  return end - at
}

/** Size of the block that starts with these bytes, or `undefined` if none does. */
export function blockBytes(start: Uint8Array): number | undefined {
  const bytes = Buffer.from(start.buffer, start.byteOffset, start.length)
  if (bytes.length < HEADER_BYTES || bytes.readUInt32LE(0) !== MAGIC) return undefined
  return bytes.readUInt32LE(8)
}

/** Reads a block; throws `BlockDamaged` unless every byte of it is what was written. */
export function decodeBlock(source: Uint8Array): Block {
  const bytes = Buffer.from(source.buffer, source.byteOffset, source.length)
  if (blockBytes(bytes) !== bytes.length) throw new BlockDamaged('there is no block at this place')
  if (checksum(bytes.subarray(8)) !== bytes.readUInt32LE(4))
    throw new BlockDamaged('the checksum does not match')
  const payloadBytes = bytes.readUInt32LE(12)
  const unitsBytes = bytes.readUInt32LE(16)
  const idEnd = HEADER_BYTES + bytes.readUInt8(20)
  const from = Number(bytes.readBigUInt64LE(24))
  return {
    id: streamId(bytes.toString('latin1', HEADER_BYTES, idEnd)),
    from,
    to: from + payloadBytes,
    units: decodeUnits(bytes.subarray(idEnd, idEnd + unitsBytes)),
    payload: bytes.subarray(idEnd + unitsBytes),
  }
}

/** Units as variable-length numbers: the start of the first, then length, time since the last, and messages of each. */
function writeUnits(bytes: Buffer, start: number, units: readonly AppendUnit[]): number {
  let atMs = 0
  let at = writeNumber(bytes, start, units[0]?.from ?? 0)
  for (const unit of units) {
    const unitAtMs = Math.round(unit.atMs)
    at = writeNumber(bytes, at, unit.to - unit.from)
    at = writeNumber(bytes, at, Math.max(0, unitAtMs - atMs))
    at = writeNumber(bytes, at, unit.messages)
    atMs = Math.max(atMs, unitAtMs)
  }
  return at
}

function decodeUnits(bytes: Buffer): readonly AppendUnit[] {
  const units: AppendUnit[] = []
  const reader = { bytes, at: 0 }
  let from = readNumber(reader)
  let atMs = 0
  while (reader.at < bytes.length) {
    const to = from + readNumber(reader)
    atMs += readNumber(reader)
    units.push({ from, to, atMs, messages: readNumber(reader) })
    from = to
  }
  return units
}

function writeNumber(bytes: Buffer, start: number, value: number): number {
  let left = value
  let at = start
  while (left >= 0x80) {
    bytes[at++] = (left % 0x80) | 0x80
    left = Math.floor(left / 0x80)
  }
  bytes[at++] = left
  return at
}

function readNumber(reader: { readonly bytes: Buffer; at: number }): number {
  let value = 0
  let scale = 1
  for (;;) {
    const byte = reader.bytes[reader.at++]
    if (byte === undefined) throw new BlockDamaged('the units are cut short')
    value += (byte & 0x7f) * scale
    if (byte < 0x80) return value
    scale *= 0x80
  }
}
