/** Journal segments as files: their names, their header, and how one gets ready before it is needed. */
import { checksum } from './checksum.ts'
import { type Disk, type DiskFile, DiskFull } from './disk.ts'
import { writeZeros } from './zeros.ts'

/** Folder of the journal in the data directory. */
export const JOURNAL_FOLDER = 'journal'
/** Bytes before the first record. */
export const SEGMENT_HEADER_BYTES = 64
/** A retired segment, kept to be used again. */
export const SPARE: string = `${JOURNAL_FOLDER}/spare`
const MAGIC = Buffer.from('MILLRJ01', 'latin1')

/** An open segment. */
export interface Segment {
  readonly number: number
  readonly file: DiskFile
  readonly sizeBytes: number
}

/** The file of a segment. */
export function segmentName(number: number): string {
  return `${JOURNAL_FOLDER}/${String(number).padStart(10, '0')}.seg`
}

/** The number of a segment's file, or `undefined` if it is not one. */
export function segmentNumber(fileName: string): number | undefined {
  const match = /^([0-9]{10})\.seg$/.exec(fileName)
  return match?.[1] === undefined ? undefined : Number(match[1])
}

/** The bytes in front of a segment's records. */
export function segmentHeader(number: number): Buffer {
  const header = Buffer.alloc(SEGMENT_HEADER_BYTES)
  MAGIC.copy(header, 0)
  header.writeUInt32LE(number, 8)
  header.writeUInt32LE(checksum(header.subarray(0, 12)), 12)
  return header
}

/** Whether these are the bytes in front of the records of this segment. */
export function isSegmentHeader(bytes: Uint8Array, number: number): boolean {
  return segmentHeader(number).equals(bytes)
}

/**
 * Makes a segment whose room is on the disk for sure, out of the spare file if there is one. It is complete, synced
 * and entered in its folder before this resolves; a crash before that leaves a spare file at most. Throws `DiskFull`.
 */
export async function prepareSegment(disk: Disk, number: number, sizeBytes: number): Promise<Segment> {
  const file = (await openSpare(disk, sizeBytes)) ?? (await allocateSpare(disk, sizeBytes))
  try {
    return await becomeSegment(disk, file, SPARE, number, sizeBytes)
  } catch (error) {
    await file.close()
    throw error
  }
}

/**
 * The same out of a segment that nothing needs any more, in one step: at no time is there neither. A crash before it
 * leaves the old one, with a header that fits it or not. Throws `DiskFull` if it was cut and there is no room.
 */
export async function recycleSegment(
  disk: Disk,
  { number, file }: Segment,
  next: number,
  sizeBytes: number,
): Promise<Segment> {
  const size = await file.size()
  if (size > sizeBytes) await file.truncate(sizeBytes)
  await writeZeros(file, size, sizeBytes)
  return becomeSegment(disk, file, segmentName(number), next, sizeBytes)
}

async function becomeSegment(
  disk: Disk,
  file: DiskFile,
  name: string,
  number: number,
  sizeBytes: number,
): Promise<Segment> {
  await file.write(0, [segmentHeader(number)])
  await file.sync()
  await disk.rename(name, segmentName(number))
  await disk.syncFolder(JOURNAL_FOLDER)
  return { number, file, sizeBytes }
}

async function openSpare(disk: Disk, sizeBytes: number): Promise<DiskFile | undefined> {
  if (!(await disk.exists(SPARE))) return undefined
  const file = await disk.open(SPARE)
  if ((await file.size()) === sizeBytes) return file
  await file.close()
  await disk.remove(SPARE)
  return undefined
}

async function allocateSpare(disk: Disk, sizeBytes: number): Promise<DiskFile> {
  const file = await disk.create(SPARE)
  try {
    await writeZeros(file, 0, sizeBytes)
    return file
  } catch (error) {
    await file.close()
    if (error instanceof DiskFull) await disk.remove(SPARE)
    throw error
  }
}

/**
 * Gives a segment up that nothing needs any more: it becomes the spare, or is removed if there is one already. Its
 * name is gone for good before this resolves, so a spare that is written to again cannot come back under it.
 */
export async function retireSegment(disk: Disk, segment: Segment): Promise<void> {
  await segment.file.close()
  if (await disk.exists(SPARE)) await disk.remove(segmentName(segment.number))
  else await disk.rename(segmentName(segment.number), SPARE)
  await disk.syncFolder(JOURNAL_FOLDER)
}
