import { countUsage, Engine, type Usage } from '@millrace/engine'
import { NEVER, parseStreamPath, type StreamPath, streamId } from '@millrace/protocol'
import { describe, expect, it } from 'vitest'
import { checkData } from './check-data.ts'
import { FaultyDisk } from './faulty-disk.ts'
import type { FileStore } from './file-store.ts'
import type { Finding } from './finding.ts'
import { USAGE_KEY } from './home-keys.ts'
import { MemoryHome } from './memory-home.ts'
import { openFileStore } from './recovery.ts'
import { seededRandom } from './seeded-random.fixture.ts'
import { encodeUsage } from './state-codec.ts'

/** Timers never fire: a checkpoint runs when a test asks for it. */
const clock = {
  nowMs: () => 1_000_000,
  elapsedMs: () => 1_000_000,
  setTimer: () => ({ cancel: () => undefined }),
  defer: (callback: () => void) => void setImmediate(callback),
}
/** A checkpoint takes several transactions. */
const limits = { segmentBytes: 64 * 1024, reserveBytes: 1024, transactionChanges: 4 }

/** A home that tells how often it was read. */
class CountedHome extends MemoryHome {
  reads = 0

  override get(key: string): Uint8Array | undefined {
    this.reads++
    return super.get(key)
  }

  override range(from: string, to: string, limit: number): ReturnType<MemoryHome['range']> {
    this.reads++
    return super.range(from, to, limit)
  }
}

class World {
  disk = new FaultyDisk({ random: seededRandom(1) })
  home: MemoryHome = new MemoryHome()
  #made = 0

  async open(): Promise<{ readonly store: FileStore; readonly engine: Engine }> {
    const openHome = async (): Promise<MemoryHome> => this.home
    const store = await openFileStore({
      disk: this.disk,
      openHome,
      durability: 'file-durable',
      clock,
      limits,
    })
    const engine = new Engine({
      storage: store,
      clock,
      onFault: ({ message }) => expect.unreachable(message),
    })
    return { store, engine }
  }

  crash(): void {
    this.disk = this.disk.crash('process')
    this.home = this.home.crash()
  }

  create(engine: Engine, name: string, body: string, source?: string): Promise<unknown> {
    const fork =
      source === undefined ? undefined : { sourcePath: pathOf(source), forkAt: undefined, subOffset: 0 }
    return engine.create({
      kind: 'create',
      path: pathOf(name),
      id: streamId(`id-${this.#made++}`),
      contentType: 'text/plain',
      mediaType: 'text/plain',
      expiry: NEVER,
      closed: false,
      body: Buffer.from(body),
      fork,
    })
  }
}

function pathOf(name: string): StreamPath {
  const parsed = parseStreamPath(name)
  if (parsed.kind !== 'stream') throw new Error(`${name} is not a stream path`)
  return parsed.path
}

function append(engine: Engine, name: string, body: string): Promise<unknown> {
  const payload = { kind: 'bytes', bytes: Buffer.from(body), messages: 1 } as const
  const rest = { closes: false, producer: undefined, streamSeq: undefined }
  return engine.append({ kind: 'append', path: pathOf(name), mediaType: 'text/plain', payload, ...rest })
}

/** What a walk over all streams comes to. */
function walked(store: FileStore): Promise<Usage> {
  const { traits, generation } = store
  const walkable = { traits, generation, list: store.list.bind(store) } as unknown as FileStore
  return countUsage(walkable)
}

async function findings(world: World): Promise<readonly Finding[]> {
  const found: Finding[] = []
  const report = {
    find: (finding: Finding) => void found.push(finding),
    count: () => undefined,
    progress: async () => undefined,
  }
  const { home } = world
  const readable = {
    get: home.get.bind(home),
    range: home.range.bind(home),
    entryCount: undefined,
  }
  await checkData(world.disk, readable, report)
  return found
}

describe('the count of streams and bytes', () => {
  it.each([1, 2, 3, 4, 5, 6])('is that of a walk over all, after any history: seed %i', async (seed) => {
    const random = seededRandom(seed)
    const pick = (count: number): number => Math.floor(random() * count)
    const world = new World()
    let { store, engine } = await world.open()
    let most = 0
    for (let step = 0; step < 120; step++) {
      const name = `s${pick(8)}`
      const action = pick(10)
      if (action < 3) await world.create(engine, name, 'x'.repeat(pick(9)))
      else if (action < 5) await world.create(engine, name, 'y'.repeat(pick(9)), `s${pick(8)}`)
      else if (action < 7) await append(engine, name, 'z'.repeat(1 + pick(9)))
      else if (action < 8) await engine.remove(pathOf(name))
      else if (action < 9) await store.checkpoint()
      else {
        if (pick(2) === 0) await engine.close()
        world.crash()
        ;({ store, engine } = await world.open())
      }
      expect([step, store.usage()]).toEqual([step, await walked(store)])
      most = Math.max(most, store.usage()?.bytes ?? 0)
    }
    expect(most).toBeGreaterThan(20)
    await engine.close()
    world.crash()
    expect(await findings(world)).toEqual([])
  })

  it('is right while a checkpoint is half done, and after a crash in the midst of it', async () => {
    const world = new World()
    let halt: (() => void) | undefined
    const flush = (transaction: number): 'flushed' | Promise<never> => {
      if (halt === undefined || transaction < 4) return 'flushed'
      halt()
      return new Promise(() => undefined)
    }
    world.home = new MemoryHome({ flush })
    const { store, engine } = await world.open()
    for (let index = 0; index < 20; index++) await world.create(engine, `s${index}`, '12345')
    const halted = new Promise<void>((resolve) => {
      halt = resolve
    })
    store.checkpoint().catch(() => undefined)
    await halted
    await engine.remove(pathOf('s0'))
    expect(store.usage()).toEqual({ streams: 19, bytes: 95 })
    halt = undefined
    world.crash()
    expect(world.home.range('s/', 't', 100).length).toBeGreaterThan(0)
    expect(world.home.range('s/', 't', 100).length).toBeLessThan(20)
    const again = await world.open()
    expect(again.store.usage()).toEqual({ streams: 19, bytes: 95 })
    await again.engine.close()
  })

  it('is known at a start without a look at the streams', async () => {
    const world = new World()
    const { engine } = await world.open()
    for (let index = 0; index < 300; index++) await world.create(engine, `s${index}`, '12345')
    await engine.close()
    const home = new CountedHome()
    world.crash()
    await home.commit(world.home.range('\x01', '\x7f', 10_000))
    world.home = home
    const { store, engine: last } = await world.open()
    home.reads = 0
    expect(await countUsage(store)).toEqual({ streams: 300, bytes: 1500 })
    expect(home.reads).toBe(1)
    await last.close()
  })

  it('is found by a walk where the home was never counted', async () => {
    const world = new World()
    const first = await world.open()
    await world.create(first.engine, 'a', '12345')
    await first.engine.close()
    world.crash()
    await world.home.commit([[USAGE_KEY, undefined]])
    const { store, engine } = await world.open()
    await append(engine, 'a', '67')
    await store.checkpoint()
    expect([store.usage(), await countUsage(store)]).toEqual([undefined, { streams: 1, bytes: 7 }])
    await engine.close()
    world.crash()
    expect(await findings(world)).toEqual([])
  })

  it('is checked', async () => {
    const world = new World()
    const { engine } = await world.open()
    await world.create(engine, 'a', '12345')
    await engine.close()
    world.crash()
    await world.home.commit([[USAGE_KEY, encodeUsage({ streams: 1, bytes: 4 })]])
    expect((await findings(world)).map(({ severity, what }) => [severity, what])).toEqual([
      ['error', 'The home counts 1 streams of 4 bytes, but has 1 of 5.'],
    ])
  })
})
