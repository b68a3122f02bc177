import type { Clock, Commit } from '@millrace/engine'
import { evolve, parseStreamPath, type StreamEvent, streamId } from '@millrace/protocol'
import { describe, expect, it } from 'vitest'
import { FaultyDisk } from './faulty-disk.ts'
import type { FileStore } from './file-store.ts'
import type { Home } from './home.ts'
import { JOURNAL_KEY } from './home-keys.ts'
import { MemoryHome } from './memory-home.ts'
import { openFileStore } from './recovery.ts'
import { seededRandom } from './seeded-random.fixture.ts'

const AT_MS = Date.UTC(2026, 0, 1)
const SEGMENT_BYTES = 64 * 1024
const clock: Clock = {
  nowMs: () => AT_MS,
  elapsedMs: () => 0,
  setTimer: () => ({ cancel: () => undefined }),
  defer: (callback) => {
    setImmediate(callback)
  },
}

function open(disk: FaultyDisk, home: Home): Promise<FileStore> {
  const limits = { segmentBytes: SEGMENT_BYTES, reserveBytes: 1024 }
  return openFileStore({ disk, openHome: async () => home, durability: 'file-durable', clock, limits })
}

function pathOf(text: string) {
  const parsed = parseStreamPath(text)
  if (parsed.kind !== 'stream') throw new Error(`${text} is not a stream path`)
  return parsed.path
}

function creation(name: string): Commit {
  const [path, id] = [pathOf(name), streamId(`id-${name}`)]
  const type = 'application/octet-stream'
  const expiry = { kind: 'never' } as const
  const config = { id, path, contentType: type, mediaType: type, expiry, fork: undefined }
  const created: StreamEvent = { kind: 'created', config, atMs: AT_MS }
  const next = evolve(undefined, created)
  const change = { path, id, version: 0, events: [created], next, payload: undefined, payloadAt: 0 }
  return { changes: [{ ...change, messages: 0, atMs: AT_MS, dueAtMs: undefined }] }
}

/** A home in which no checkpoint comes to its end: it keeps what is more than the mark of a start to itself. */
function stuck(home: Home): Home {
  return {
    get: (key) => home.get(key),
    range: (from, to, limit) => home.range(from, to, limit),
    commit: (changes) =>
      changes.every(([key]) => key === JOURNAL_KEY) ? home.commit(changes) : new Promise(() => undefined),
    close: () => home.close(),
  }
}

describe('a start with a loaded journal', () => {
  it('serves what it replayed before any checkpoint has ended', async () => {
    const disk = new FaultyDisk({ random: seededRandom(1) })
    const home = new MemoryHome()
    const store = await open(disk, home)
    expect(await store.commit([creation('a'), creation('b')])).toEqual(['durable', 'durable'])
    const again = await open(disk.crash('process'), stuck(home.crash()))
    const found = await again.load([pathOf('a'), pathOf('b')])
    expect(found.map((stream) => stream?.version)).toEqual([1, 1])
  })

  it('has on the medium what it found in the page cache after a failed sync', async () => {
    let lost = 0
    for (let seed = 1; seed <= 40; seed++) {
      const disk = new FaultyDisk({ random: seededRandom(seed) })
      const home = new MemoryHome()
      const store = await open(disk, home)
      disk.fail(({ kind, name }) => kind === 'sync' && name.startsWith('journal/'))
      await expect(store.commit([creation('a')])).rejects.toThrow('failed to write')
      // The system still has the record, as clean: the next process reads it and answers by it.
      const survivor = disk.crash('process')
      const second = await open(survivor, stuck(home.crash()))
      const [found] = await second.load([pathOf('a')])
      expect(found?.version).toBe(1)
      const third = await open(survivor.crash('power'), home.crash())
      const [kept] = await third.load([pathOf('a')])
      if (kept === undefined) lost++
    }
    expect(lost).toBe(0)
  })

  it('leaves no more room taken when it is ended again and again', async () => {
    let disk = new FaultyDisk({ random: seededRandom(1) })
    let home = new MemoryHome()
    const store = await open(disk, home)
    await store.commit([creation('a')])
    for (let round = 0; round < 10; round++) {
      disk = disk.crash('process')
      home = home.crash()
      await open(disk, stuck(home))
    }
    // What is to be replayed, what is written to next, and the spare.
    expect((await disk.list('journal')).length).toBeLessThanOrEqual(3)
    const [found] = await (await open(disk.crash('power'), home.crash())).load([pathOf('a')])
    expect(found?.version).toBe(1)
  })
})
