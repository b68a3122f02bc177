/** Reads a stream's own bytes from wherever they are: blocks, the layer being checkpointed, the newest layer. */
import { type AppendUnit, type Eventual, Fault, type MemoryStream } from '@millrace/engine'
import type { OwnRange, StreamId } from '@millrace/protocol'
import { type Block, BlockDamaged } from './block-codec.ts'
import type { BlockFiles } from './block-files.ts'
import { findBlock } from './checkpoint.ts'
import type { Home } from './home.ts'
import { blockKey, blocksEnd, identityKey } from './home-keys.ts'
import type { Layer } from './layer.ts'
import { type BlockPlace, decodePlace } from './state-codec.ts'

/** What there is to read from. */
export interface ReadSources {
  readonly home: Home
  readonly blocks: BlockFiles
  /** Newest first. */
  layers(): readonly Layer[]
}

/** The bytes of a range, in pieces that never change; or a fault. */
export function readOwn(sources: ReadSources, range: OwnRange): Eventual<readonly Uint8Array[]> {
  const newest = sources.layers()[0]?.bytes.get(range.id)
  if (newest !== undefined && newest.from <= range.from) return newest.read(range)
  return readAcross(sources, range)
}

/** The append unit around a position. */
export async function unitAround(sources: ReadSources, id: StreamId, position: number): Promise<AppendUnit> {
  const kept = inLayers(sources, id).find((bytes) => bytes.from <= position && position < bytes.tail)
  if (kept !== undefined) return kept.unitAt(position)
  const block = await blockAt(sources, id, position, findBlock(sources.home, id, position))
  const unit = block.units.find(({ from, to }) => from <= position && position < to)
  if (unit === undefined)
    throw new Fault('corrupt', `No append unit of stream ${id} holds position ${position}.`)
  return unit
}

/** Oldest first, so that each part is looked for where it has been longest. */
function inLayers(sources: ReadSources, id: StreamId): readonly MemoryStream[] {
  return sources.layers().flatMap((layer) => layer.bytes.get(id) ?? [])
}

async function readAcross(sources: ReadSources, range: OwnRange): Promise<readonly Uint8Array[]> {
  const pieces: Uint8Array[] = []
  for (let at = range.from; at < range.to; ) {
    const kept = inLayers(sources, range.id).find((bytes) => bytes.from <= at && at < bytes.tail)
    if (kept !== undefined) {
      const to = Math.min(range.to, kept.tail)
      pieces.push(...kept.read({ id: range.id, from: at, to }))
      at = to
      continue
    }
    for (const block of await blocksFrom(sources, { ...range, from: at })) {
      const to = Math.min(range.to, block.to)
      // Blocks may have been merged since they were looked up; what is missing is looked for again.
      if (at < block.from || at >= to) break
      pieces.push(block.payload.subarray(at - block.from, to - block.from))
      at = to
    }
  }
  return pieces
}

/** Blocks that are read at the same time. */
const READ_AHEAD = 8

/** The next blocks of a range, in order; the first holds its first byte. */
function blocksFrom(sources: ReadSources, { id, from, to }: OwnRange): Promise<readonly Block[]> {
  const entries = sources.home.range(blockKey(id, from + 1), blocksEnd(id), READ_AHEAD)
  const [first, ...later] = entries.map(([, value]) => decodePlace(value))
  const following = later.filter((place) => place.from < to)
  return Promise.all([
    blockAt(sources, id, from, first),
    ...following.map((place) => blockAt(sources, id, place.from, place)),
  ])
}

/** How often a block is looked up again because its file was rewritten in between. */
const LOOKUPS = 3

/** `known` is what the home says about the position at this moment. */
async function blockAt(
  sources: ReadSources,
  id: StreamId,
  position: number,
  known: BlockPlace | undefined,
): Promise<Block> {
  let place = known
  for (let lookup = 1; ; lookup++) {
    if (place === undefined || position < place.from) throw missingBlock(sources, id, position)
    try {
      return await sources.blocks.read(place)
    } catch (error) {
      const now = findBlock(sources.home, id, position)
      const hasMoved = now === undefined || now.file !== place.file || now.at !== place.at
      if (hasMoved && lookup < LOOKUPS) {
        place = now
        continue
      }
      throw error instanceof BlockDamaged ? new Fault('corrupt', error.message, error) : error
    }
  }
}

/** A stream that is known but lacks a block is damaged; one that is unknown was removed. */
function missingBlock(sources: ReadSources, id: StreamId, position: number): Fault {
  const isPurged = sources.layers().some((layer) => layer.purged.has(id))
  if (isPurged || sources.home.get(identityKey(id)) === undefined) {
    return new Fault('removed', 'The stream was removed while it was being read.')
  }
  return new Fault('corrupt', `No block of stream ${id} holds position ${position}.`)
}
