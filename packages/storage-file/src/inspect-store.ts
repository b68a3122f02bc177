/** `inspect` for operators: what is in a data directory, while no server runs on it; changes nothing. */

import { runCheck, SILENCE_MS } from './check-process.ts'
import { HomeUnreadable } from './home.ts'
import type { StoreOverview, StreamSink } from './inspect-data.ts'
import { withOwnedStore } from './owned-store.ts'

/** Options of `inspectStore`. */
export interface InspectOptions {
  readonly dataDir: string
  /** Only streams whose path starts with it; all unless given. */
  readonly prefix?: string
  /** How many streams are told one by one; all unless given. The counts are over all. */
  readonly limit?: number
  /** Count messages as well, which reads every block. */
  readonly countMessages?: boolean
  /** Told the streams in order of their paths, a few at a time; more come once it has resolved. */
  readonly onStreams?: StreamSink
}

/**
 * Tells what a data directory holds, what is only in its journal included. Owns the directory meanwhile, as
 * `verifyStore` does. Throws `StoreMissing`, `ForeignDirectory` or `DiskLocked` when there is nothing to look at, and
 * `HomeUnreadable` when its database cannot be read.
 */
export async function inspectStore(options: InspectOptions): Promise<StoreOverview> {
  const { dataDir, prefix = '', limit = Number.MAX_SAFE_INTEGER, countMessages = false } = options
  const task = { kind: 'inspect', dataDir, prefix, limit, countMessages } as const
  return withOwnedStore(dataDir, async () => {
    const end = await runCheck(
      task,
      async (message) => {
        if (message.kind === 'streams') await options.onStreams?.(message.rows)
      },
      SILENCE_MS,
    )
    if (end.kind === 'done' && end.overview !== undefined) return end.overview
    const reason = end.kind === 'failed' ? `: ${end.message}` : ''
    throw new HomeUnreadable(
      `The database in home/ cannot be read${reason}. Run millrace verify to see what is damaged.`,
    )
  })
}
