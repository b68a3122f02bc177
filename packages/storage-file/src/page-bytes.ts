/**
 * LMDB's file format as far as it takes to follow its pages by plain reads, little-endian: meta pages, branch and
 * leaf pages, overflow pages, lists of free pages. The format is that of the `lmdb` package (data version 2).
 */

/** Bytes in front of the content of every page. */
const PAGE_HEADER_BYTES = 24
const NODE_HEADER_BYTES = 8
const MAGIC = 0xbeefc0de
const DATA_VERSION = 2
/** Bytes of a meta page that mean something. */
export const META_BYTES = 160
/** The root of a tree without pages. */
export const NO_PAGE = 0xffff_ffff_ffff_ffffn
const BRANCH = 1
const LEAF = 2
const OVERFLOW = 4
const BIG_DATA = 1

/** One of the two trees of a database: free pages, or the entries. */
export interface TreeInfo {
  readonly depth: number
  readonly entries: bigint
  readonly root: bigint
}

/** A meta page: where everything is, as of one transaction. */
export interface MetaPage {
  readonly pageBytes: number
  readonly free: TreeInfo
  readonly main: TreeInfo
  readonly lastPage: bigint
  readonly transaction: bigint
}

/** Reads a meta page; `undefined` if it is none. */
export function readMetaPage(page: Buffer): MetaPage | undefined {
  if (page.length < META_BYTES) return undefined
  const isMeta =
    page.readUInt32LE(PAGE_HEADER_BYTES) === MAGIC &&
    page.readUInt32LE(PAGE_HEADER_BYTES + 4) === DATA_VERSION
  const pageBytes = page.readUInt32LE(48)
  if (!isMeta || pageBytes < 512 || pageBytes > 65_536) return undefined
  return {
    pageBytes,
    free: readTree(page, 48),
    main: readTree(page, 96),
    lastPage: page.readBigUInt64LE(144),
    transaction: page.readBigUInt64LE(152),
  }
}

function readTree(page: Buffer, at: number): TreeInfo {
  return {
    depth: page.readUInt16LE(at + 6),
    entries: page.readBigUInt64LE(at + 32),
    root: page.readBigUInt64LE(at + 40),
  }
}

/** What a page of a tree leads to. */
export type TreePage =
  | { readonly kind: 'branch'; readonly children: readonly bigint[] }
  | { readonly kind: 'leaf'; readonly nodes: readonly LeafNode[] }

/** An entry: its value is in the page, or on overflow pages. */
export interface LeafNode {
  readonly value: Buffer | undefined
  readonly overflow: { readonly page: bigint; readonly pages: number } | undefined
}

/** The number and the transaction that a page says it has. */
export function pageIdentity(page: Buffer): { readonly number: bigint; readonly transaction: bigint } {
  return { number: page.readBigUInt64LE(0), transaction: page.readBigUInt64LE(8) }
}

/** Reads a page of a tree; `undefined` if it cannot be one. */
export function readTreePage(page: Buffer): TreePage | undefined {
  const flags = page.readUInt16LE(18)
  const lower = page.readUInt16LE(20)
  const upper = page.readUInt16LE(22)
  const room = page.length - PAGE_HEADER_BYTES
  const isPossible =
    (flags === BRANCH || flags === LEAF) && lower % 2 === 0 && lower <= upper && upper <= room
  if (!isPossible || lower === 0) return undefined
  const children: bigint[] = []
  const nodes: LeafNode[] = []
  for (let index = 0; index < lower; index += 2) {
    const node = page.subarray(PAGE_HEADER_BYTES + page.readUInt16LE(PAGE_HEADER_BYTES + index))
    if (node.length < NODE_HEADER_BYTES) return undefined
    if (flags === BRANCH) children.push(BigInt(node.readUIntLE(0, 6)))
    else {
      const leaf = readLeafNode(node, page.length)
      if (leaf === undefined) return undefined
      nodes.push(leaf)
    }
  }
  return flags === BRANCH ? { kind: 'branch', children } : { kind: 'leaf', nodes }
}

function readLeafNode(node: Buffer, pageBytes: number): LeafNode | undefined {
  const size = node.readUInt32LE(0)
  const flags = node.readUInt16LE(4)
  const at = NODE_HEADER_BYTES + node.readUInt16LE(6)
  if (flags === 0) {
    return at + size > node.length ? undefined : { value: node.subarray(at, at + size), overflow: undefined }
  }
  if (flags !== BIG_DATA || at + 24 > node.length) return undefined
  const pages = Number(node.readBigUInt64LE(at + 16))
  const needed = Math.floor((PAGE_HEADER_BYTES - 1 + size) / pageBytes) + 1
  if (pages !== needed) return undefined
  return { value: undefined, overflow: { page: node.readBigUInt64LE(at), pages } }
}

/** Whether a page is the first of so many overflow pages. */
export function isOverflowPage(page: Buffer, pages: number): boolean {
  return page.readUInt16LE(18) === OVERFLOW && page.readUInt32LE(20) === pages
}

/** Page numbers in a list of free pages; a negative number is the length of the run that begins at the next one. */
export function readFreePages(value: Buffer): readonly bigint[] | undefined {
  if (value.length < 8) return undefined
  const count = Number(value.readBigInt64LE(0))
  if (count < 0 || 8 * (count + 1) > value.length) return undefined
  const pages: bigint[] = []
  let run = 1n
  for (let index = 1; index <= count; index++) {
    const number = value.readBigInt64LE(8 * index)
    if (number < 0n) {
      run = -number
      if (run > 0x1_0000_0000n) return undefined
      continue
    }
    if (number > 0n) for (let offset = 0n; offset < run; offset++) pages.push(number + offset)
    run = 1n
  }
  return pages
}
