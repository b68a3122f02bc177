/** Room on the disk, taken by writing: a file that only has a length may still find the disk full. */
import type { DiskFile } from './disk.ts'

const ZEROS = new Uint8Array(1024 * 1024)

/** Fills a file with zeros from one position up to another. */
export async function writeZeros(file: DiskFile, from: number, to: number): Promise<void> {
  for (let at = from; at < to; at += ZEROS.length) {
    await file.write(at, [ZEROS.subarray(0, Math.min(ZEROS.length, to - at))])
  }
}
