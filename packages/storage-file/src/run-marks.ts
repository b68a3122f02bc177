/**
 * What the home says while a store is open, and no more once it was closed in order: which journal segment there is
 * at least, so that a start without its journal is noticed, and in which start of the machine it was opened.
 */
import { DiskFull } from './disk.ts'
import type { Home, HomeChange } from './home.ts'
import { JOURNAL_KEY, RUN_KEY } from './home-keys.ts'
import { textOf } from './state-codec.ts'

/** By the mark's value: the journal has this segment or a later one; 0: it need not have any. */
export function knownSegment(value: Uint8Array | undefined): number {
  return value === undefined ? 0 : Number(textOf(value))
}

/** To be committed once the segment is there for good. */
export function segmentMark(segment: number): HomeChange {
  return [JOURNAL_KEY, Buffer.from(String(segment))]
}

/** Marks the beginning of a run, with changes that must be there before anything is served. */
export async function beginRun(home: Home, changes: readonly HomeChange[], segment: number): Promise<void> {
  try {
    await home.commit([...changes, segmentMark(segment)])
  } catch (error) {
    // An older mark, or none, finds less; on a full disk that is no reason not to start.
    if (!(error instanceof DiskFull) || changes.length > 0) throw error
  }
}

/** Everything is durable and nothing more will be written: the next start needs no journal, and has lost nothing. */
export async function endRun(home: Home): Promise<void> {
  const marks = [RUN_KEY, JOURNAL_KEY].filter((key) => home.get(key) !== undefined)
  if (marks.length === 0) return
  try {
    await home.commit(marks.map((key) => [key, undefined]))
  } catch (error) {
    // The marks stay where there is no room: the next start may take a generation too many, and nothing is lost.
    if (!(error instanceof DiskFull)) throw error
  }
}
