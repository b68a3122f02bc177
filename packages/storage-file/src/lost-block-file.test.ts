import { Engine } from '@millrace/engine'
import { joined, parseStreamPath, type StreamPath, streamId } from '@millrace/protocol'
import { expect, it } from 'vitest'
import { FaultyDisk } from './faulty-disk.ts'
import { MemoryHome } from './memory-home.ts'
import { openFileStore } from './recovery.ts'
import { seededRandom } from './seeded-random.fixture.ts'

/** Timers never fire: no checkpoint runs unless a test asks for it. */
const clock = {
  nowMs: () => 1_000_000,
  elapsedMs: () => 1_000_000,
  setTimer: () => ({ cancel: () => undefined }),
  defer: (callback: () => void) => void setImmediate(callback),
}

function pathOf(name: string): StreamPath {
  const parsed = parseStreamPath(name)
  if (parsed.kind !== 'stream') throw new Error('not a path')
  return parsed.path
}

/** A store whose every checkpoint makes a block file of its own. */
class Machine {
  readonly disk = new FaultyDisk({ random: seededRandom(3) })
  #home = new MemoryHome()

  /** Opens the store, does something with its engine, writes all of it down, and stops. */
  async session<T>(use: (engine: Engine) => Promise<T>): Promise<T> {
    this.#home = this.#home.crash()
    const store = await openFileStore({
      disk: this.disk,
      openHome: async () => this.#home,
      durability: 'file-durable',
      clock,
      limits: { segmentBytes: 64 * 1024, reserveBytes: 1024, blockFileBytes: 1 },
    })
    const engine = new Engine({
      storage: store,
      clock,
      onFault: (fault) => expect.unreachable(fault.message),
    })
    const result = await use(engine)
    await engine.close()
    return result
  }

  create(name: string, text: string): Promise<unknown> {
    return this.session((engine) =>
      engine.create({
        kind: 'create',
        path: pathOf(name),
        id: streamId(`id-${name}`),
        contentType: 'text/plain',
        mediaType: 'text/plain',
        expiry: undefined,
        closed: false,
        body: new TextEncoder().encode(text),
        fork: undefined,
      }),
    )
  }

  read(name: string): Promise<string> {
    return this.session(async (engine) => {
      const result = await engine.read(pathOf(name), { kind: 'beginning' })
      return result.kind === 'slice'
        ? Buffer.from(joined(result.slice.pieces)).toString()
        : result.rejection.kind
    })
  }
}

const FIRST = 'blocks/0000000001.blk'
const SECOND = 'blocks/0000000002.blk'

it('a block file that is lost is not taken for a new one', async () => {
  const machine = new Machine()
  await machine.create('a', 'aaaa')
  await machine.disk.remove(FIRST)
  await machine.create('b', 'bbbb')
  expect(await machine.read('b')).toBe('bbbb')
  await expect(machine.read('a')).rejects.toThrow(FIRST)
})

it('a block of another stream in the place of one is damage', async () => {
  const machine = new Machine()
  await machine.create('a', 'aaaa')
  await machine.create('b', 'bbbb')
  await machine.disk.remove(FIRST)
  await machine.disk.rename(SECOND, FIRST)
  await expect(machine.read('a')).rejects.toThrow('damaged')
})
