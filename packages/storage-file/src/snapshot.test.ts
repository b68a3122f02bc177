import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Clock } from '@millrace/engine'
import { afterAll, describe, expect, it } from 'vitest'
import { fileStorage } from './file-storage.ts'
import type { FileStore } from './file-store.ts'
import { HOME_FILE } from './home-walk.ts'
import { lmdbHome } from './lmdb-home.ts'
import { MemoryHome } from './memory-home.ts'
import { nodeDisk } from './node-disk.ts'
import { openFileStore } from './recovery.ts'
import { openRestoreTarget } from './restore.ts'
import { savedStreams } from './saved-streams.ts'
import { seededRandom } from './seeded-random.fixture.ts'
import { SnapshotBusy, SnapshotOver, type StoreSnapshot } from './snapshot.ts'
import { makeTestFolder } from './test-child.fixture.ts'
import { WrittenStream } from './written-stream.fixture.ts'

const TINY = {
  segmentBytes: 64 * 1024,
  reserveBytes: 1024,
  blockBytes: 700,
  blockFileBytes: 4000,
  checkpointBytes: 3000,
  checkpointRecords: 20,
  transactionChanges: 4,
  liveShare: 0.9,
}

const folders: ReturnType<typeof makeTestFolder>[] = []

afterAll(() => {
  for (const folder of folders) folder.remove()
})

function newDir(): string {
  const folder = makeTestFolder()
  folders.push(folder)
  return join(folder.path, 'data')
}

function open(dataDir: string): Promise<FileStore> {
  return fileStorage({ dataDir, limits: TINY })
}

function blockFilesIn(dataDir: string): readonly string[] {
  return readdirSync(join(dataDir, 'blocks')).map((name) => `blocks/${name}`)
}

/** Copies a snapshot in small reads, and makes a data directory of it. */
async function restoreFrom(snapshot: StoreSnapshot, dataDir: string): Promise<void> {
  const target = await openRestoreTarget(dataDir)
  for (const { name, bytes } of snapshot.files) {
    const file = await target.create(name)
    for (let at = 0; at < bytes; at += 1000) {
      await file.write(at, [await snapshot.read(name, at, Math.min(bytes, at + 1000))])
    }
    await file.sync()
    await file.close()
  }
  await target.finish()
}

async function contentOf(store: FileStore, stream: WrittenStream): Promise<Buffer | undefined> {
  const [found] = await store.load([stream.path])
  if (found === undefined) return undefined
  const { id, tail } = found.state
  return Buffer.concat(await store.read({ id, from: 0, to: tail }))
}

/** A writer that goes on until it is told to stop, and the sizes it has reached. */
async function write(
  store: FileStore,
  stream: WrittenStream,
  seed: number,
  isOver: () => boolean,
): Promise<void> {
  const random = seededRandom(seed)
  await stream.create(store)
  while (!isOver()) {
    await stream.append(
      store,
      Buffer.alloc(1 + Math.floor(random() * 400), `${seed}-${stream.bytes.length};`),
    )
  }
}

describe('a snapshot', () => {
  it('is the state of one moment, whatever is written, merged and reclaimed while it is copied', async () => {
    const dataDir = newDir()
    const store = await open(dataDir)
    const streams = Array.from({ length: 6 }, (_, i) => new WrittenStream(`s/${i}`))
    let isOver = false
    const writers = streams.map((stream, i) => write(store, stream, i, () => isOver))
    const doomed = new WrittenStream('doomed')
    await doomed.create(store)
    await doomed.append(store, Buffer.alloc(9000, 'd'))
    for (let round = 0; round < 4; round++) {
      const before = streams.map(({ bytes }) => bytes.length)
      const snapshot = await store.beginSnapshot()
      const after = streams.map(({ bytes }) => bytes.length)
      if (round === 1) await doomed.purge(store)
      const restoredDir = newDir()
      await restoreFrom(snapshot, restoredDir)
      await snapshot.end()
      const restored = await open(restoredDir)
      for (const [i, stream] of streams.entries()) {
        const content = (await contentOf(restored, stream)) ?? Buffer.alloc(0)
        // An append that was acknowledged before is in it; one that was under way may be.
        expect(content.length).toBeGreaterThanOrEqual(before[i] ?? 0)
        expect(content.length).toBeLessThanOrEqual((after[i] ?? 0) + 400)
        expect(stream.bytes.subarray(0, content.length).equals(content)).toBe(true)
      }
      expect((await contentOf(restored, doomed))?.length).toBe(round < 2 ? 9000 : undefined)
      await restored.close()
    }
    isOver = true
    await Promise.all(writers)
    await store.close()
  }, 60_000)

  it('holds its block files back until it ends, and what it held is reclaimed then', async () => {
    const dataDir = newDir()
    const store = await open(dataDir)
    const stream = new WrittenStream('a')
    await stream.create(store)
    await stream.append(store, Buffer.alloc(20_000, 'a'))
    const snapshot = await store.beginSnapshot()
    const held = snapshot.files.map(({ name }) => name).filter((name) => name !== HOME_FILE)
    await stream.purge(store)
    await store.checkpoint()
    expect(held.length).toBeGreaterThan(0)
    expect(blockFilesIn(dataDir)).toEqual(expect.arrayContaining(held))
    await snapshot.end()
    await store.checkpoint()
    expect(blockFilesIn(dataDir).filter((name) => held.includes(name))).toEqual([])
    expect(readdirSync(join(dataDir, 'snapshot'))).toEqual([])
    await store.close()
  })

  it('reads only what is in it, and nothing once it is over', async () => {
    const store = await open(newDir())
    const stream = new WrittenStream('a')
    await stream.create(store)
    await stream.append(store, Buffer.from('abc'))
    const snapshot = await store.beginSnapshot()
    const [block] = snapshot.files
    if (block === undefined) throw new Error('there is no block file')
    expect((await snapshot.read(block.name, 0, block.bytes)).length).toBe(block.bytes)
    await expect(snapshot.read(block.name, 0, block.bytes + 1)).rejects.toThrow(RangeError)
    await expect(snapshot.read(block.name, 2, 1)).rejects.toThrow(RangeError)
    for (const name of ['LOCK', 'home/lock.mdb', '../x', 'blocks/0000000099.blk', '__proto__']) {
      await expect(snapshot.read(name, 0, 1)).rejects.toThrow(RangeError)
    }
    await snapshot.end()
    await snapshot.end()
    await expect(snapshot.read(block.name, 0, 1)).rejects.toThrow(SnapshotOver)
    await store.close()
  })

  it('is the only one at a time, keeps the identity of its store, and ends with it', async () => {
    const dataDir = newDir()
    const store = await open(dataDir)
    const first = await store.beginSnapshot()
    await expect(store.beginSnapshot()).rejects.toThrow(SnapshotBusy)
    await first.end()
    const second = await store.beginSnapshot()
    await store.close()
    await expect(second.read(HOME_FILE, 0, 1)).rejects.toThrow(SnapshotOver)
    await expect(store.beginSnapshot()).rejects.toThrow()
    const again = await open(dataDir)
    const third = await again.beginSnapshot()
    expect([second.storeId, third.storeId]).toEqual([first.storeId, first.storeId])
    const restoredDir = newDir()
    await restoreFrom(third, restoredDir)
    const restored = await open(restoredDir)
    expect((await restored.beginSnapshot()).storeId).not.toBe(first.storeId)
    await restored.close()
    await again.close()
  })

  it('that a crash left is removed at the next start', async () => {
    const dataDir = newDir()
    await (await open(dataDir)).close()
    await nodeDisk(dataDir).makeFolder('snapshot')
    writeFileSync(join(dataDir, 'snapshot', 'data.mdb'), 'half')
    const store = await open(dataDir)
    expect(readdirSync(join(dataDir, 'snapshot'))).toEqual([])
    await (await store.beginSnapshot()).end()
    await store.close()
  })

  it('is refused by a store whose home cannot be copied', async () => {
    const clock = new PushedClock()
    const openHome = async (): Promise<MemoryHome> => new MemoryHome()
    const store = await openFileStore({
      disk: nodeDisk(newDir()),
      openHome,
      durability: 'file-durable',
      clock,
    })
    await expect(store.beginSnapshot()).rejects.toThrow('cannot be copied')
    await store.close()
  })
})

/** Time that a test moves; timers fire when their moment has passed. */
class PushedClock implements Clock {
  #nowMs = 0
  readonly #timers = new Map<() => void, number>()
  nowMs = (): number => this.#nowMs
  elapsedMs = (): number => this.#nowMs
  defer = (callback: () => void): void => void setImmediate(callback)

  setTimer(delayMs: number, callback: () => void): { cancel(): void } {
    this.#timers.set(callback, this.#nowMs + delayMs)
    return { cancel: () => void this.#timers.delete(callback) }
  }

  push(ms: number): void {
    this.#nowMs += ms
    for (const [callback, atMs] of this.#timers) {
      if (atMs > this.#nowMs) continue
      this.#timers.delete(callback)
      callback()
    }
  }
}

describe('a snapshot that nobody uses', () => {
  it('ends by itself, and its files are reclaimed', async () => {
    const dataDir = newDir()
    const clock = new PushedClock()
    const store = await openFileStore({
      disk: nodeDisk(dataDir),
      openHome: () => lmdbHome(join(dataDir, 'home')),
      durability: 'file-durable',
      clock,
      limits: { ...TINY, snapshotIdleMs: 1000 },
    })
    const stream = new WrittenStream('a')
    await stream.create(store)
    await stream.append(store, Buffer.alloc(9000, 'a'))
    const snapshot = await store.beginSnapshot()
    await stream.purge(store)
    clock.push(600)
    await snapshot.read(HOME_FILE, 0, 1)
    clock.push(600)
    // Used 600 ms ago: it goes on.
    await snapshot.read(HOME_FILE, 0, 1)
    clock.push(1000)
    await expect(snapshot.read(HOME_FILE, 0, 1)).rejects.toThrow(SnapshotOver)
    await snapshot.end()
    await store.checkpoint()
    expect(blockFilesIn(dataDir)).toEqual([])
    await store.close()
  })
})

describe('the streams of a copied home', () => {
  it('are listed in order with their positions, over more than one page', async () => {
    const dataDir = newDir()
    const store = await fileStorage({ dataDir })
    const streams = Array.from(
      { length: 1100 },
      (_, i) => new WrittenStream(`s/${String(i).padStart(4, '0')}`),
    )
    await Promise.all(
      streams.map(async (stream, i) => {
        await stream.create(store)
        await stream.append(store, Buffer.alloc(i % 7 === 0 ? 1 : 3, 'x'))
      }),
    )
    const snapshot = await store.beginSnapshot()
    const copy = join(newDir(), '..', 'home.mdb')
    const { bytes } = snapshot.files.at(-1) ?? { bytes: 0 }
    writeFileSync(copy, await snapshot.read(HOME_FILE, 0, bytes))
    await store.close()
    const found: unknown[] = []
    for await (const page of savedStreams(copy)) found.push(...page)
    expect(found).toEqual(
      streams.map(({ path, id, bytes: { length: tail } }) => ({
        path,
        id,
        tail,
        offset: `0000000000000000_${String(tail).padStart(16, '0')}`,
        closed: false,
        ownBytes: tail,
      })),
    )
  }, 30_000)
})
