import { Engine } from '@millrace/engine'
import { parseStreamPath, streamId } from '@millrace/protocol'
import { expect, it } from 'vitest'
import { FaultyDisk } from './faulty-disk.ts'
import type { FileStore } from './file-store.ts'
import { MemoryHome } from './memory-home.ts'
import { openFileStore } from './recovery.ts'
import { seededRandom } from './seeded-random.fixture.ts'

/** Timers never fire: nothing is synced and no checkpoint runs unless a test asks for it. */
const clock = {
  nowMs: () => 1_000_000,
  elapsedMs: () => 1_000_000,
  setTimer: () => ({ cancel: () => undefined }),
  defer: (callback: () => void) => void setImmediate(callback),
}
const limits = { segmentBytes: 64 * 1024, reserveBytes: 1024 }

const parsed = parseStreamPath('a')
if (parsed.kind !== 'stream') throw new Error('not a path')
const { path } = parsed
const id = streamId('first')

async function createAndRemove(store: FileStore): Promise<void> {
  const engine = new Engine({ storage: store, clock, onFault: (fault) => expect.unreachable(fault.message) })
  const created = await engine.create({
    kind: 'create',
    path,
    id,
    contentType: 'text/plain',
    mediaType: 'text/plain',
    expiry: { kind: 'ttl', ttlSeconds: 60 },
    closed: false,
    body: new Uint8Array(0),
    fork: undefined,
  })
  store.touch([{ path, id, atMs: 1_000_000, dueAtMs: 1_060_000 }])
  const removed = await engine.remove(path)
  expect([created.kind, removed.kind]).toEqual(['created', 'deleted'])
}

it('a store in which nothing is written keeps no more segments from start to start', async () => {
  let disk = new FaultyDisk({ random: seededRandom(1) })
  let home = new MemoryHome()
  const open = (): Promise<FileStore> =>
    openFileStore({ disk, openHome: async () => home, durability: 'file-durable', clock, limits })
  const first = await open()
  await createAndRemove(first)
  await first.checkpoint()
  // Its stop notes the touch, which concerns a stream that is no more.
  await first.close()
  const counts: number[] = []
  for (let start = 0; start < 4; start++) {
    disk = disk.crash('process')
    home = home.crash()
    const store = await open()
    await store.close()
    counts.push((await disk.list('journal')).length)
  }
  expect(Math.max(...counts)).toBeLessThanOrEqual(2)
})
