/**
 * Follows the pages of LMDB's file by plain reads, before LMDB is asked to: LMDB has no checksums, takes a damaged
 * page number at its word, and reads by memory map. Values have checksums of their own; this is about the rest.
 */
import type { Disk, DiskFile } from './disk.ts'
import { type CheckReport, inFile, RESTORE } from './finding.ts'
import { HOME_FILE } from './home-walk.ts'
import {
  isOverflowPage,
  type LeafNode,
  META_BYTES,
  type MetaPage,
  NO_PAGE,
  pageIdentity,
  readFreePages,
  readMetaPage,
  readTreePage,
  type TreeInfo,
} from './page-bytes.ts'

/** Where the walk stopped, and why. */
class PageDamaged extends Error {
  override readonly name = 'PageDamaged'
  readonly page: bigint

  constructor(page: bigint, message: string) {
    super(message)
    this.page = page
  }
}

/** Reports the first page that cannot be what was written. */
export async function checkHomePages(disk: Disk, report: CheckReport): Promise<void> {
  const file = await disk.open(HOME_FILE)
  let pageBytes = 4096
  try {
    const meta = await newestMeta(file)
    pageBytes = meta.pageBytes
    const walk = new PageWalk(file, meta, await file.size(), report)
    await walk.tree(meta.main, () => undefined)
    await walk.tree(meta.free, (node, page) => walk.freePages(node, page))
  } catch (error) {
    if (!(error instanceof PageDamaged)) throw error
    const from = Number(error.page) * pageBytes
    report.find({
      severity: 'error',
      where: inFile(HOME_FILE, from, from + pageBytes),
      what: `A page of the database is damaged: ${error.message}.`,
      whatToDo: RESTORE,
    })
  } finally {
    await file.close()
  }
}

/**
 * Transactions take turns with the two meta pages, and LMDB takes the newer one: a flipped bit could quietly bring
 * back the older one.
 */
async function newestMeta(file: DiskFile): Promise<MetaPage> {
  const first = readMetaPage(Buffer.from(await file.read(0, META_BYTES)))
  if (first === undefined) throw new PageDamaged(0n, 'it does not say what it is')
  const second = readMetaPage(Buffer.from(await file.read(first.pageBytes, META_BYTES)))
  if (second === undefined || second.pageBytes !== first.pageBytes)
    throw new PageDamaged(1n, 'it does not say what it is')
  const distance = first.transaction - second.transaction
  const isNew = first.transaction === 0n && second.transaction === 0n
  const takesTurns = first.transaction % 2n === 0n && (distance === 1n || distance === -1n)
  if (!isNew && !takesTurns) throw new PageDamaged(distance > 0n ? 0n : 1n, 'it is of another transaction')
  return distance > 0n ? first : second
}

class PageWalk {
  readonly #file: DiskFile
  readonly #meta: MetaPage
  readonly #pages: bigint
  readonly #report: CheckReport
  /** One bit a page: it is used, or listed as free. */
  readonly #seen: Uint8Array

  constructor(file: DiskFile, meta: MetaPage, fileBytes: number, report: CheckReport) {
    this.#file = file
    this.#meta = meta
    this.#pages = BigInt(Math.floor(fileBytes / meta.pageBytes))
    this.#report = report
    this.#seen = new Uint8Array(Math.ceil(fileBytes / meta.pageBytes / 8) + 1)
  }

  /** Every page of a tree; the newest root was written by the newest transaction. */
  async tree(
    { root, depth, entries }: TreeInfo,
    onNode: (node: LeafNode, page: bigint) => void,
  ): Promise<void> {
    if (root === NO_PAGE) {
      if (entries !== 0n) throw new PageDamaged(this.#meta.transaction % 2n, 'it names no root')
      return
    }
    let found = 0n
    const waiting = [{ page: root, level: 1, from: this.#meta.transaction % 2n }]
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const { page, level, from } = next
      const content = readTreePage(await this.#read(page, from))
      const isExpected = content !== undefined && (content.kind === 'leaf') === (level === depth)
      if (!isExpected) throw new PageDamaged(page, 'its content makes no sense')
      if (content.kind === 'branch') {
        for (const child of content.children) waiting.push({ page: child, level: level + 1, from: page })
        continue
      }
      found += BigInt(content.nodes.length)
      for (const node of content.nodes) {
        await this.#overflow(node, page)
        onNode(node, page)
      }
      await this.#report.progress(0)
    }
    if (found !== entries)
      throw new PageDamaged(root, `its tree should have ${entries} entries, but has ${found}`)
  }

  /** No page may be free and used: it would be written over. */
  freePages({ value, overflow }: LeafNode, page: bigint): void {
    // A list so long that it has pages of its own is not looked into.
    if (overflow !== undefined || value === undefined) return
    const free = readFreePages(value)
    if (free === undefined) throw new PageDamaged(page, 'its list of free pages makes no sense')
    for (const number of free) {
      if (number < 2n || number > this.#meta.lastPage || !this.#see(number, this.#meta.lastPage + 1n))
        throw new PageDamaged(page, `it lists page ${number} as free, which is not`)
    }
  }

  async #overflow({ overflow }: LeafNode, from: bigint): Promise<void> {
    if (overflow === undefined) return
    const { page, pages } = overflow
    if (!isOverflowPage(await this.#read(page, from), pages))
      throw new PageDamaged(page, 'its content makes no sense')
    for (let next = page + 1n; next < page + BigInt(pages); next++) {
      if (!this.#see(next, this.#pages))
        throw new PageDamaged(from, `it names page ${next}, which is not its own`)
    }
  }

  /** A page that another one names: it is in the file, named once, and says the same of itself. */
  async #read(number: bigint, from: bigint): Promise<Buffer> {
    if (number < 2n || number > this.#meta.lastPage || !this.#see(number, this.#pages))
      throw new PageDamaged(from, `it names page ${number}, which is not its own`)
    const { pageBytes, transaction } = this.#meta
    const page = Buffer.from(await this.#file.read(Number(number) * pageBytes, pageBytes))
    const identity = page.length < pageBytes ? undefined : pageIdentity(page)
    const isRoot = from < 2n
    const isIt = identity?.number === number && identity.transaction <= transaction
    if (!isIt || (isRoot && number === this.#meta.main.root && identity.transaction !== transaction))
      throw new PageDamaged(number, 'it is another page')
    return page
  }

  /** False if the number is out of bounds, or has been seen. */
  #see(number: bigint, end: bigint): boolean {
    if (number >= end) return false
    const at = Number(number >> 3n)
    const bit = 1 << Number(number & 7n)
    const byte = this.#seen[at]
    // Free pages may lie behind the end of the file, where nothing can use them.
    if (byte === undefined) return true
    if ((byte & bit) !== 0) return false
    this.#seen[at] = byte | bit
    return true
  }
}
