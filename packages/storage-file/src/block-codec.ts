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

/** A stored block is not what was written. */
export class BlockDamaged extends Error {
  override readonly name = 'BlockDamaged'
}

/** The bytes of a block: header, stream id, units, payload. */
export function encodeBlock(block: Block): Buffer {
  const id = Buffer.from(block.id, 'latin1')
  const units = encodeUnits(block.units)
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + id.length + units.length + block.payload.length)
  bytes.writeUInt32LE(MAGIC, 0)
  bytes.writeUInt32LE(bytes.length, 8)
  bytes.writeUInt32LE(block.payload.length, 12)
  bytes.writeUInt32LE(units.length, 16)
  bytes.writeUInt8(id.length, 20)
  bytes.fill(0, 21, 24)
  bytes.writeBigUInt64LE(BigInt(block.from), 24)
  id.copy(bytes, HEADER_BYTES)
  units.copy(bytes, HEADER_BYTES + id.length)
  bytes.set(block.payload, HEADER_BYTES + id.length + units.length)
  bytes.writeUInt32LE(checksum(bytes.subarray(8)), 4)
  return bytes
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
function encodeUnits(units: readonly AppendUnit[]): Buffer {
  const bytes: number[] = []
  let atMs = 0
  writeNumber(bytes, units[0]?.from ?? 0)
  for (const unit of units) {
    writeNumber(bytes, unit.to - unit.from)
    writeNumber(bytes, Math.max(0, Math.round(unit.atMs) - atMs))
    writeNumber(bytes, unit.messages)
    atMs = Math.max(atMs, Math.round(unit.atMs))
  }
  return Buffer.from(bytes)
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

function writeNumber(bytes: number[], value: number): void {
  let left = value
  while (left >= 0x80) {
    bytes.push((left % 0x80) | 0x80)
    left = Math.floor(left / 0x80)
  }
  bytes.push(left)
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
