/** Which commits of a batch fit what is stored: versions are compared here, and nowhere else. Pure. */
import type { Commit } from '@millrace/engine'
import type { StreamId, StreamPath } from '@millrace/protocol'
import { storesNothing } from './commit-writer.ts'
import type { LayerEntry } from './layer.ts'

/** A commit that fits, and its place in the batch. */
export interface FittingCommit {
  readonly commit: Commit
  readonly at: number
}

interface Expected {
  readonly id: StreamId | undefined
  readonly version: number
}

/** What was decided on top of a commit that did not happen does not happen either. */
const REFUSED: Expected = { id: undefined, version: -1 }

/** The commits whose versions match, each seen on top of those before it in the batch. */
export function fittingCommits(
  batch: readonly Commit[],
  hasRoom: boolean,
  entryOf: (path: StreamPath) => LayerEntry,
): readonly FittingCommit[] {
  const decided = new Map<StreamPath, Expected>()
  return batch.flatMap((commit, at) => {
    const isFitting = commit.changes.every(({ path, version, id }) => {
      const expected = decided.get(path) ?? expectedOf(entryOf(path))
      return expected.version === version && (expected.id === undefined || expected.id === id)
    })
    const matches = isFitting && (hasRoom || storesNothing(commit))
    for (const { path, next, version } of commit.changes) {
      decided.set(path, matches ? { id: next?.id, version: next === undefined ? 0 : version + 1 } : REFUSED)
    }
    return matches ? [{ commit, at }] : []
  })
}

function expectedOf({ state, version }: LayerEntry): Expected {
  return { id: state?.id, version }
}
