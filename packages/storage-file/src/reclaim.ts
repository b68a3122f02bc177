/** Gives space back: removes block files that nothing names, and rewrites those that are mostly dead. */
import { blockBytes, decodeBlock } from './block-codec.ts'
import { BLOCK_FILE_HEADER_BYTES, BLOCK_FOLDER, type BlockFiles, blockFileNumber } from './block-files.ts'
import type { Disk } from './disk.ts'
import { FileUses } from './file-uses.ts'
import type { Home, HomeChange } from './home.ts'
import { blockKey, fileKey, fileOf, keyAfter, prefixEnd } from './home-keys.ts'
import type { StoreLimits } from './limits.ts'
import { type BlockPlace, decodePlace, decodeUse, encodePlace, type FileUse } from './state-codec.ts'

/** What reclaiming works on. */
export interface ReclaimContext {
  readonly disk: Disk
  readonly home: Home
  readonly blocks: BlockFiles
  readonly limits: StoreLimits
  /** Whether a snapshot needs the file. */
  isHeld(file: number): boolean
  yieldTurn(): Promise<void>
}

const SCAN_BYTES = 1024 * 1024
/** Blocks looked at between two yields. */
const BLOCKS_PER_TURN = 50
/** Block files looked at between two yields. */
const FILES_PER_TURN = 200

/**
 * Removes files of a checkpoint that did not come to its end: the home names no block in them. Returns the number of
 * the next file.
 */
export async function removeOrphans(disk: Disk, home: Home): Promise<number> {
  // A file that the home knows may be lost; a new one under its number would be taken for it.
  const last = home.range('f/', prefixEnd('f/'), Number.POSITIVE_INFINITY).at(-1)
  let next = last === undefined ? 1 : fileOf(last[0]) + 1
  let isChanged = false
  for (const name of await disk.list(BLOCK_FOLDER)) {
    const file = blockFileNumber(name)
    if (file === undefined) continue
    next = Math.max(next, file + 1)
    if (home.get(fileKey(file)) !== undefined) continue
    await disk.remove(`${BLOCK_FOLDER}/${name}`)
    isChanged = true
  }
  if (isChanged) await disk.syncFolder(BLOCK_FOLDER)
  return next
}

/** Frees what one checkpoint left behind: all empty files, and the deadest of the others if it is dead enough. */
export async function reclaim(context: ReclaimContext): Promise<void> {
  const { blocks, limits } = context
  const dead: number[] = []
  let deadest: { readonly file: number; readonly share: number } | undefined
  for await (const [file, use] of usesOf(context)) {
    if (file === blocks.writingFile || context.isHeld(file)) continue
    const isReadable = !blocks.damagedFiles.has(file)
    const share = use.liveBytes / Math.max(1, use.sizeBytes)
    if (use.liveBytes <= 0) dead.push(file)
    else if (isReadable && share < limits.liveShare && share < (deadest?.share ?? 1))
      deadest = { file, share }
  }
  // Empty files go first: they make the room that a rewrite needs, and on a full disk it does not come to its end.
  await remove(context, dead)
  if (deadest === undefined) return
  try {
    await rewrite(context, deadest.file)
    await remove(context, [deadest.file])
  } catch (error) {
    if (!(error instanceof FileUnreadable)) throw error
    // Its space stays taken, and its readers hear of the damage. What was copied but not named yet never is.
    blocks.damagedFiles.add(deadest.file)
    await blocks.abandon()
  }
}

/** Every block file that the home knows. A terabyte has thousands: other work goes on meanwhile. */
async function* usesOf({
  home,
  yieldTurn,
}: ReclaimContext): AsyncIterableIterator<[file: number, use: FileUse]> {
  let from = 'f/'
  for (;;) {
    const page = home.range(from, prefixEnd('f/'), FILES_PER_TURN)
    for (const [key, value] of page) yield [fileOf(key), decodeUse(value)]
    const last = page.at(-1)
    if (last === undefined || page.length < FILES_PER_TURN) return
    from = keyAfter(last[0])
    await yieldTurn()
  }
}

/** A block file cannot be read to its end. */
class FileUnreadable extends Error {
  override readonly name = 'FileUnreadable'
}

async function remove({ home, blocks, disk }: ReclaimContext, files: readonly number[]): Promise<void> {
  if (files.length === 0) return
  // The home forgets a file before the disk does: a name without a file would look like damage.
  await home.commit(files.map((file): HomeChange => [fileKey(file), undefined]))
  for (const file of files) await blocks.remove(file)
  await disk.syncFolder(BLOCK_FOLDER)
}

/**
 * Copies the live blocks of a file to where new blocks go, durably, and points the home at the copies, transaction by
 * transaction: what a crash leaves in the old file is copied the next time.
 */
async function rewrite(context: ReclaimContext, file: number): Promise<void> {
  const { home, blocks, limits } = context
  const uses = new FileUses(home)
  let changes: HomeChange[] = []
  const commit = async (): Promise<void> => {
    await blocks.sync()
    await home.commit([...changes, ...uses.changes()])
    changes = []
  }
  for await (const block of blocksIn(context, file)) {
    const key = blockKey(block.decoded.id, block.decoded.to)
    const value = home.get(key)
    const place = value && decodePlace(value)
    if (place?.file !== file || place.at !== block.at) continue
    const copy: BlockPlace = await blocks.add({ ...block.decoded, pieces: [block.decoded.payload] })
    changes.push([key, encodePlace(copy)])
    uses.add(copy.file, copy.sizeBytes, copy.sizeBytes)
    uses.add(file, 0, -place.sizeBytes)
    if (changes.length >= limits.transactionChanges) await commit()
  }
  await commit()
}

interface PlacedBlock {
  readonly at: number
  readonly decoded: ReturnType<typeof decodeBlock>
}

/** The blocks of a file in order, each checked. */
async function* blocksIn(context: ReclaimContext, file: number): AsyncIterableIterator<PlacedBlock> {
  const { blocks, home } = context
  const stored = home.get(fileKey(file))
  const end = BLOCK_FILE_HEADER_BYTES + (stored ? decodeUse(stored).sizeBytes : 0)
  let count = 0
  for (let at = BLOCK_FILE_HEADER_BYTES; at < end; ) {
    const window = await readable(file, () => blocks.readRaw(file, at, SCAN_BYTES))
    let used = 0
    for (;;) {
      // Past the end are blocks of a checkpoint that did not finish, if anything.
      if (at + used >= end) return
      const size = blockBytes(window.subarray(used))
      if (size === undefined || used + size > window.length) break
      const bytes = window.subarray(used, used + size)
      yield { at: at + used, decoded: await readable(file, async () => decodeBlock(bytes)) }
      used += size
      if (++count % BLOCKS_PER_TURN === 0) await context.yieldTurn()
    }
    if (used === 0) throw new FileUnreadable(`block file ${file} cannot be read past byte ${at}`)
    at += used
    await context.yieldTurn()
  }
}

async function readable<T>(file: number, read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (error) {
    throw new FileUnreadable(`block file ${file} cannot be read`, { cause: error })
  }
}
