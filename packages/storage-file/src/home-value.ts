/** How an entry of the home is stored, wherever: the checksum of key and value, then the value. */
import { crc32 } from 'node:zlib'
import { type HomeChange, HomeCorrupt } from './home.ts'

const CHECKSUM_BYTES = 4

/** Bytes of a key at most: what LMDB takes with pages of 4 KiB. */
export const HOME_KEY_BYTES = 1978

/** A change in the form in which it is stored. */
export interface StoredChange {
  readonly key: string
  readonly keyBytes: Buffer
  /** `undefined` removes the key. */
  readonly stored: Buffer | undefined
}

/** Throws a `RangeError` unless a key is ASCII, not empty and short enough. */
export function assertHomeKey(key: string): void {
  const isFit = key.length > 0 && key.length <= HOME_KEY_BYTES && Buffer.byteLength(key) === key.length
  if (!isFit)
    throw new RangeError(`${JSON.stringify(key)} is not a key: 1 to ${HOME_KEY_BYTES} bytes of ASCII`)
}

/** Copies changes into their stored form, all in one buffer. Throws a `RangeError` for a key that is none. */
export function encodeChanges(changes: readonly HomeChange[]): readonly StoredChange[] {
  let size = 0
  for (const [key, value] of changes) {
    assertHomeKey(key)
    size += key.length + (value === undefined ? 0 : CHECKSUM_BYTES + value.length)
  }
  const bytes = Buffer.allocUnsafeSlow(size)
  let at = 0
  return changes.map(([key, value]) => {
    const keyFrom = at
    at += bytes.write(key, at, 'latin1')
    const keyBytes = bytes.subarray(keyFrom, at)
    if (value === undefined) return { key, keyBytes, stored: undefined }
    const from = at
    bytes.writeUInt32LE(crc32(value, crc32(keyBytes)), at)
    bytes.set(value, at + CHECKSUM_BYTES)
    at += CHECKSUM_BYTES + value.length
    return { key, keyBytes, stored: bytes.subarray(from, at) }
  })
}

/** The value in what is stored under a key; shares its memory. Throws `HomeCorrupt` unless the checksum matches. */
export function decodeStored(key: string, stored: Uint8Array): Uint8Array {
  if (stored.length < CHECKSUM_BYTES) throw new HomeCorrupt(key)
  const view = new DataView(stored.buffer, stored.byteOffset)
  const value = stored.subarray(CHECKSUM_BYTES)
  if (view.getUint32(0, true) !== crc32(value, crc32(key))) throw new HomeCorrupt(key)
  return value
}
