/**
 * A Millrace server whose store has other limits than the usual ones, and which can say how long its event loop was
 * held up. Arguments: storage (`memory` or a durability), data directory, limits as JSON.
 */
import { createServer, memoryStorage } from '@millrace/server'
import { type Durability, type FileStorageOptions, fileStorage } from '@millrace/storage-file'
import { announce, stopWithParent } from './child-server.ts'
import { LoopProbe, type LoopReport } from './loop-probe.ts'

/** What the parent may ask. */
export type StoreQuestion = 'watch' | 'stalls'

/** What comes back, with the question it belongs to. */
export interface StoreAnswer {
  readonly question: StoreQuestion
  readonly report?: LoopReport
}

/** Sizes and counts to be used instead of the usual ones. */
export type LimitOverrides = NonNullable<FileStorageOptions['limits']>

const [storage = 'memory', dataDir = './data', limits = '{}'] = process.argv.slice(2)
const server = await createServer({
  storage:
    storage === 'memory'
      ? memoryStorage()
      : fileStorage({
          dataDir,
          durability: storage as Durability,
          limits: JSON.parse(limits) as LimitOverrides,
        }),
  host: '127.0.0.1',
  port: 0,
})
const probe = new LoopProbe()

process.on('message', async (question: StoreQuestion) => {
  if (question === 'watch') {
    probe.start()
    process.send?.({ question } satisfies StoreAnswer)
  } else {
    process.send?.({ question, report: await probe.finish() } satisfies StoreAnswer)
  }
})
process.on('SIGTERM', () => server.close().then(() => process.exit(0)))
announce(server.url)
stopWithParent()
