/** CRC-32 (IEEE 802.3), native: the checksum of everything this store writes. */
import { crc32 } from 'node:zlib'

/** The checksum of some bytes, or of bytes that follow others whose checksum is `before`. */
export function checksum(bytes: Uint8Array, before = 0): number {
  return crc32(bytes, before)
}
