import { existsSync } from 'node:fs'
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Clock, Engine } from '@millrace/engine'
import { joined, parseStreamPath, type StreamPath, streamId } from '@millrace/protocol'
import { afterEach, describe, expect, it } from 'vitest'
import type { FileStore } from './file-store.ts'
import { lmdbHome } from './lmdb-home.ts'
import { nodeDisk } from './node-disk.ts'
import { openFileStore } from './recovery.ts'

const KIB = 1024
const STREAMS = 600
const BODY = new Uint8Array(2 * KIB).fill(120)
const LIMITS = {
  segmentBytes: 512 * KIB,
  reserveBytes: 4 * KIB,
  checkpointReserveBytes: 256 * KIB,
  blockFileBytes: 64 * KIB,
  checkpointBytes: 128 * KIB,
  openBlockFiles: 6,
  blockCacheBytes: 0,
  checkpointAfterMs: 3_600_000,
}
const MAX_IDLE_STREAMS = 50
/** Journal segments, old, current and next, the block file being written, and what Node opens for a moment. */
const OTHER_FILES = 10
const DESCRIPTORS = '/proc/self/fd'
const folders: string[] = []

afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true })
})

const clock: Clock = {
  nowMs: () => Date.now(),
  elapsedMs: () => performance.now(),
  setTimer(delayMs, callback) {
    const timer = setTimeout(callback, delayMs)
    return { cancel: () => clearTimeout(timer) }
  },
  defer: (callback) => void setImmediate(callback),
}

interface Running {
  readonly dataDir: string
  readonly store: FileStore
  readonly engine: Engine
}

async function start(dataDir: string): Promise<Running> {
  const store = await openFileStore({
    disk: nodeDisk(dataDir),
    openHome: () => lmdbHome(join(dataDir, 'home')),
    durability: 'file-fast',
    clock,
    limits: LIMITS,
  })
  const engine = new Engine({
    storage: store,
    clock,
    limits: { maxIdleStreams: MAX_IDLE_STREAMS },
    onFault: (fault) => {
      throw fault
    },
  })
  return { dataDir, store, engine }
}

function pathOf(name: string): StreamPath {
  const parsed = parseStreamPath(name)
  if (parsed.kind !== 'stream') throw new Error(`${name} is no path`)
  return parsed.path
}

const PATHS = Array.from({ length: STREAMS }, (_, at) => pathOf(`streams/${at}`))

/** Makes all streams, reads each of them, and deletes them again; returns the most descriptors that were open. */
async function useAll({ engine, store }: Running, round: number): Promise<number> {
  let most = 0
  const look = async (): Promise<void> => {
    most = Math.max(most, (await readdir(DESCRIPTORS)).length)
  }
  await Promise.all(
    PATHS.map((path, at) =>
      engine.create({
        kind: 'create',
        path,
        id: streamId(`id-${round}-${at}`),
        contentType: 'text/plain',
        mediaType: 'text/plain',
        expiry: undefined,
        closed: false,
        body: BODY,
        fork: undefined,
      }),
    ),
  )
  await look()
  await store.checkpoint()
  for (let from = 0; from < PATHS.length; from += 100) {
    const reads = PATHS.slice(from, from + 100).map((path) =>
      engine.read(path, { kind: 'position', position: 0 }),
    )
    for (const read of await Promise.all(reads)) {
      if (read.kind !== 'slice' || joined(read.slice.pieces).length !== BODY.length)
        throw new Error('a read is short')
    }
    await look()
  }
  await Promise.all(PATHS.map((path) => engine.remove(path)))
  await store.checkpoint()
  await look()
  return most
}

async function bytesIn(folder: string): Promise<number> {
  const sizes = (await readdir(folder)).map(async (name) => (await stat(join(folder, name))).size)
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0)
}

describe.skipIf(!existsSync(DESCRIPTORS))(
  'R-341: a store that has held and lost thousands of streams',
  () => {
    it('has no more files open than before, gives their bytes back, and keeps none of them in memory', async () => {
      const dataDir = await mkdtemp(join(tmpdir(), 'millrace-leaks-'))
      folders.push(dataDir)
      const closedBefore = (await readdir(DESCRIPTORS)).length
      const running = await start(dataDir)
      const openBefore = (await readdir(DESCRIPTORS)).length
      const most: number[] = []
      const homes: number[] = []
      for (let round = 0; round < 4; round++) {
        most.push(await useAll(running, round))
        await running.store.checkpoint()
        homes.push(await bytesIn(join(dataDir, 'home')))
      }
      const openAfter = (await readdir(DESCRIPTORS)).length
      const [blocks, journal] = [
        await bytesIn(join(dataDir, 'blocks')),
        await bytesIn(join(dataDir, 'journal')),
      ]
      const { entities } = running.engine.statistics()
      await running.engine.close()
      const closedAfter = (await readdir(DESCRIPTORS)).length

      // One round writes 1.2 MiB into some twenty block files.
      expect(Math.max(...most)).toBeLessThanOrEqual(openBefore + LIMITS.openBlockFiles + OTHER_FILES)
      expect(openAfter).toBeLessThanOrEqual(openBefore + LIMITS.openBlockFiles + 2)
      expect(closedAfter).toBeLessThanOrEqual(closedBefore + 1)
      expect(blocks).toBeLessThanOrEqual(2 * LIMITS.blockFileBytes)
      expect(journal).toBeLessThanOrEqual(3 * LIMITS.segmentBytes)
      expect(entities).toBe(0)
      // The home uses the pages of what is gone again.
      expect(homes[3]).toBeLessThanOrEqual((homes[1] ?? 0) * 1.25)
    }, 60_000)

    it('leaves next to nothing in the directory after a stop', async () => {
      const dataDir = await mkdtemp(join(tmpdir(), 'millrace-leaks-'))
      folders.push(dataDir)
      const first = await start(dataDir)
      await useAll(first, 0)
      await first.engine.close()
      const again = await start(dataDir)
      await again.engine.close()
      const files = await readdir(join(dataDir, 'blocks'))

      expect(files.length).toBeLessThanOrEqual(1)
      expect(await bytesIn(join(dataDir, 'journal'))).toBeLessThanOrEqual(3 * LIMITS.segmentBytes)
    }, 60_000)
  },
)
