import type { Clock, StateChange } from '@millrace/engine'
import {
  DEFAULT_CONTENT_TYPE,
  evolve,
  NEVER,
  parseStreamPath,
  type StreamEvent,
  streamId,
} from '@millrace/protocol'
import { describe, expect, it } from 'vitest'
import { FaultyDisk } from './faulty-disk.ts'
import type { Durability, FileStore } from './file-store.ts'
import { type FlushOutcome, MemoryHome } from './memory-home.ts'
import { openFileStore } from './recovery.ts'
import { seededRandom } from './seeded-random.fixture.ts'

/** Timers fire only when a test says so: until then nothing is synced and no checkpoint runs. */
class TestClock implements Clock {
  readonly #timers = new Set<() => void>()
  nowMs = (): number => 1_000_000
  elapsedMs = (): number => 1_000_000
  defer = (callback: () => void): void => void setImmediate(callback)

  setTimer(_delayMs: number, callback: () => void): { cancel(): void } {
    this.#timers.add(callback)
    return { cancel: () => void this.#timers.delete(callback) }
  }
}

/** A machine whose store is opened again and again. */
class Machine {
  #disk = new FaultyDisk({ random: seededRandom(7) })
  homeOutcome: FlushOutcome = 'flushed'
  #home = new MemoryHome({ flush: () => this.homeOutcome })
  clock = new TestClock()

  open(durability: Durability): Promise<FileStore> {
    this.clock = new TestClock()
    const { clock } = this
    const limits = { segmentBytes: 16 * 1024 * 1024 }
    return openFileStore({ disk: this.#disk, openHome: async () => this.#home, durability, clock, limits })
  }

  crash(kind: 'power' | 'process'): void {
    this.#disk = this.#disk.crash(kind)
    this.#home = this.#home.crash()
  }

  async stop(store: FileStore): Promise<void> {
    await store.close()
    this.#disk = this.#disk.crash('process')
    this.#home = this.#home.crash()
  }
}

const parsed = parseStreamPath('a')
if (parsed.kind !== 'stream') throw new Error('not a path')
const { path } = parsed
const id = streamId('first')

async function create(store: FileStore): Promise<void> {
  const type = DEFAULT_CONTENT_TYPE
  const config = { id, path, contentType: type, mediaType: type, expiry: NEVER, fork: undefined }
  const events: readonly StreamEvent[] = [{ kind: 'created', config, atMs: 1 }]
  const change: StateChange = {
    path,
    id,
    version: 0,
    events,
    next: events.reduce<ReturnType<typeof evolve>>(evolve, undefined),
    payload: undefined,
    payloadAt: 0,
    messages: 0,
    atMs: 1,
    dueAtMs: undefined,
  }
  expect(await store.commit([{ changes: [change] }])).toEqual(['durable'])
}

describe('the generation of a store', () => {
  it('is 0 at first, and after stops of any kind that lose nothing', async () => {
    const machine = new Machine()
    const first = await machine.open('file-fast')
    expect(first.generation).toBe(0)
    await create(first)
    machine.crash('process')
    const second = await machine.open('file-fast')
    expect(second.generation).toBe(0)
    await machine.stop(second)
    machine.crash('power')
    const third = await machine.open('file-fast')
    expect(third.generation).toBe(0)
    expect(await third.load([path])).toMatchObject([{ version: 1 }])
  })

  it('is raised by each power cut that a file-fast store does not survive whole, and stays', async () => {
    const machine = new Machine()
    await create(await machine.open('file-fast'))
    machine.crash('power')
    const second = await machine.open('file-fast')
    expect(second.generation).toBe(1)
    machine.crash('power')
    const third = await machine.open('file-fast')
    expect(third.generation).toBe(2)
    await machine.stop(third)
    const fourth = await machine.open('file-durable')
    expect(fourth.generation).toBe(2)
  })

  it('is raised also if the power fails while the store is recovered after the process had ended', async () => {
    const machine = new Machine()
    await create(await machine.open('file-fast'))
    machine.crash('process')
    await machine.open('file-fast')
    machine.crash('power')
    expect((await machine.open('file-durable')).generation).toBe(1)
  })

  it('is not lost, nor is the stop disturbed, if there is no room to note that nothing is', async () => {
    const machine = new Machine()
    const first = await machine.open('file-fast')
    await create(first)
    await first.checkpoint()
    machine.homeOutcome = 'full'
    await machine.stop(first)
    machine.homeOutcome = 'flushed'
    machine.crash('power')
    const second = await machine.open('file-fast')
    expect(second.generation).toBe(1)
    expect(await second.load([path])).toMatchObject([{ version: 1 }])
  })

  it('is not raised by a power cut that a file-durable store survives', async () => {
    const machine = new Machine()
    await create(await machine.open('file-durable'))
    machine.crash('power')
    const second = await machine.open('file-durable')
    expect(second.generation).toBe(0)
    expect(await second.load([path])).toMatchObject([{ version: 1 }])
    // What answers after the sync from now on leaves no mark, whatever came before.
    await machine.stop(second)
    const third = await machine.open('file-fast')
    machine.crash('process')
    const fourth = await machine.open('file-durable')
    machine.crash('power')
    expect([third.generation, (await machine.open('file-durable')).generation, fourth.generation]).toEqual([
      0, 0, 0,
    ])
  })
})
