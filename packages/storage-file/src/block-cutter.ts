/** Cuts a stream's new bytes into blocks, together with its last one if that was small. Pure. */
import type { AppendUnit } from '@millrace/engine'
import type { StreamId } from '@millrace/protocol'
import type { BlockToWrite } from './block-codec.ts'

/** Consecutive bytes of one stream, with the units in them. */
export interface Run {
  readonly id: StreamId
  readonly from: number
  readonly to: number
  readonly units: readonly AppendUnit[]
  /** The bytes between two positions of the run, in pieces. */
  pieces(from: number, to: number): readonly Uint8Array[]
}

/**
 * Whether a stream's last block is read and written again with the new bytes. Small ones are, unless hardly anything
 * is added: so a stream of small appends ends up in full blocks, and no byte is rewritten often.
 */
export function isWorthMerging(lastBytes: number, newBytes: number, blockBytes: number): boolean {
  return lastBytes < blockBytes / 2 && newBytes * 4 >= lastBytes
}

/** Blocks of at most `blockBytes` that hold the run; they end between units where that costs at most half a block. */
export function* cutIntoBlocks(run: Run, blockBytes: number): IterableIterator<BlockToWrite> {
  let first = 0
  let from = run.from
  while (from < run.to) {
    const limit = Math.min(run.to, from + blockBytes)
    let last = first
    while (last + 1 < run.units.length && (run.units[last + 1]?.from ?? run.to) < limit) last++
    const unitEnd = run.units[last]?.to ?? limit
    const boundary = unitEnd <= limit ? unitEnd : (run.units[last]?.from ?? from)
    const to = boundary - from >= blockBytes / 2 || boundary === run.to ? boundary : limit
    if (to === run.units[last]?.from) last--
    const units = run.units.slice(first, last + 1)
    yield { id: run.id, from, to, units, pieces: run.pieces(from, to) }
    from = to
    first = (run.units[last]?.to ?? to) <= to ? last + 1 : last
  }
}
