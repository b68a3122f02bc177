/**
 * Looks at the two meta pages of LMDB's file by plain reads. Each names the root of one of the last two transactions;
 * LMDB takes the newer one and has no checksum for them, so a flipped bit could quietly bring back the older one.
 */
import type { Disk, DiskFile } from './disk.ts'
import { type CheckReport, inFile, RESTORE } from './finding.ts'
import { HOME_FILE } from './home-walk.ts'

const PAGE_HEADER_BYTES = 24
const META_BYTES = 192
const MAGIC = 0xbeefc0de
const NO_PAGE = 0xffff_ffff_ffff_ffffn

interface Meta {
  readonly isOne: boolean
  readonly version: number
  readonly pageBytes: number
  readonly root: bigint
  readonly transaction: bigint
}

/** Reports meta pages that do not belong together. */
export async function checkHomeMeta(disk: Disk, report: CheckReport): Promise<void> {
  const file = await disk.open(HOME_FILE)
  try {
    const first = await readMeta(file, 0)
    const second = first && (await readMeta(file, first.pageBytes))
    const isSound = first !== undefined && second !== undefined && (await belongTogether(file, first, second))
    if (isSound) return
    report.find({
      severity: 'error',
      where: inFile(HOME_FILE, 0, 2 * (first?.pageBytes ?? 4096)),
      what: 'The first pages of the database, which say where everything in it begins, are damaged.',
      whatToDo: RESTORE,
    })
  } finally {
    await file.close()
  }
}

async function readMeta(file: DiskFile, at: number): Promise<Meta | undefined> {
  const bytes = Buffer.from(await file.read(at, META_BYTES))
  if (bytes.length < META_BYTES) return undefined
  return {
    isOne: bytes.readUInt32LE(PAGE_HEADER_BYTES) === MAGIC,
    version: bytes.readUInt32LE(PAGE_HEADER_BYTES + 4),
    pageBytes: bytes.readUInt32LE(48),
    root: bytes.readBigUInt64LE(136),
    transaction: bytes.readBigUInt64LE(152),
  }
}

/** Transactions take turns with the pages, and a root is written by the transaction that names it. */
async function belongTogether(file: DiskFile, first: Meta, second: Meta): Promise<boolean> {
  const { pageBytes } = first
  const isPair = first.isOne && second.isOne && first.version === second.version
  if (!isPair || second.pageBytes !== pageBytes) return false
  const isNew = first.transaction === 0n && second.transaction === 0n
  if (isNew) return true
  const distance = first.transaction - second.transaction
  if (first.transaction % 2n !== 0n || (distance !== 1n && distance !== -1n)) return false
  const newest = distance > 0n ? first : second
  if (newest.root === NO_PAGE) return true
  const at = Number(newest.root) * pageBytes
  if (!Number.isSafeInteger(at)) return false
  const page = Buffer.from(await file.read(at, 16))
  return (
    page.length === 16 &&
    page.readBigUInt64LE(0) === newest.root &&
    page.readBigUInt64LE(8) === newest.transaction
  )
}
