/**
 * The store's generation: raised when acknowledged bytes may have been lost, so that no offset ever names two
 * different bytes. `file-fast` answers before it syncs, and only a power cut takes what was not synced.
 */
import type { Disk } from './disk.ts'
import type { Durability } from './file-store.ts'
import type { Home, HomeChange } from './home.ts'
import { GENERATION_KEY, RUN_KEY } from './home-keys.ts'
import { textOf } from './state-codec.ts'

/** The mark of a run on a machine whose starts cannot be told apart: each may have been a power cut. */
const UNKNOWN_BOOT = '-'

/** What a run begins with. */
export interface RunStart {
  /** What is appended from now on is of this generation. */
  readonly generation: number
  /** To be committed when all that was replayed is durable, and before anything is served. */
  readonly changes: readonly HomeChange[]
}

/** Finds out whether the last run may have lost what it acknowledged. */
export async function startOfRun(disk: Disk, home: Home, durability: Durability): Promise<RunStart> {
  const stored = home.get(GENERATION_KEY)
  const value = home.get(RUN_KEY)
  const mark = value && textOf(value)
  const boot = (await disk.bootId()) ?? UNKNOWN_BOOT
  const before = stored === undefined ? 0 : Number(textOf(stored))
  const mayHaveLost = mark !== undefined && (mark !== boot || boot === UNKNOWN_BOOT)
  const generation = mayHaveLost ? before + 1 : before
  // A store that answers after the sync has nothing to lose, and leaves no mark.
  const next = durability === 'file-fast' ? boot : undefined
  const changes: HomeChange[] = []
  if (mayHaveLost) changes.push([GENERATION_KEY, Buffer.from(String(generation))])
  if (next !== mark) changes.push([RUN_KEY, next === undefined ? undefined : Buffer.from(next)])
  return { generation, changes }
}
