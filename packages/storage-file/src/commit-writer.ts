/**
 * Writes a batch of commits to the journal, as far as there is room. A commit that finds none takes nothing with it
 * but what was decided on top of it, and what makes room is tried even so: it may use the reserve.
 */
import type { Commit, CommitResult } from '@millrace/engine'
import type { StreamPath } from '@millrace/protocol'
import type { Journal, JournalEntry } from './journal.ts'
import { encodeMeta } from './record-codec.ts'

interface Waiting {
  readonly commit: Commit
  readonly entry: JournalEntry
  readonly at: number
}

/** `durable` here: written, and in the order given. Throws if the disk fails: then nothing more may be written. */
export async function writeCommits(
  journal: Journal,
  commits: readonly Commit[],
): Promise<readonly CommitResult[]> {
  const results: CommitResult[] = commits.map(() => 'full')
  const refused = new Set<StreamPath>()
  let waiting: readonly Waiting[] = commits.map((commit, at) => ({ commit, entry: toEntry(commit), at }))
  while (waiting.length > 0) {
    const count = await journal.append(waiting.map(({ entry }) => entry))
    for (const { at } of waiting.slice(0, count)) results[at] = 'durable'
    const [stuck, ...behind] = waiting.slice(count)
    // With no room for what makes room there is none for anything.
    if (stuck === undefined || stuck.entry.frees) break
    const isFull = !journal.isTooLarge(stuck.entry)
    refuse(refused, stuck.commit)
    waiting = behind.filter(({ commit, entry, at }) => {
      const restsOnRefused = commit.changes.some(({ path }) => refused.has(path))
      if (!restsOnRefused && (entry.frees || !isFull)) return true
      if (entry.frees || !isFull) results[at] = 'conflict'
      refuse(refused, commit)
      return false
    })
  }
  return results
}

/** Deletions, closings and references: nothing that the store would have to keep more of for them. */
export function storesNothing(commit: Commit): boolean {
  return commit.changes.every(({ payload, version }) => payload === undefined && version > 0)
}

function refuse(refused: Set<StreamPath>, commit: Commit): void {
  for (const { path } of commit.changes) refused.add(path)
}

function toEntry(commit: Commit): JournalEntry {
  return {
    meta: encodeMeta(commit),
    payloads: commit.changes.flatMap(({ payload }) => payload ?? []),
    frees: storesNothing(commit),
  }
}
