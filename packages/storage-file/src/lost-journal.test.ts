import { describe, expect, it } from 'vitest'
import { checkData } from './check-data.ts'
import type { Disk } from './disk.ts'
import { FaultyDisk } from './faulty-disk.ts'
import type { FileStore } from './file-store.ts'
import type { Finding } from './finding.ts'
import { MemoryHome } from './memory-home.ts'
import { openFileStore } from './recovery.ts'
import { seededRandom } from './seeded-random.fixture.ts'
import { WrittenStream } from './written-stream.fixture.ts'

/** Timers never fire: no checkpoint runs unless a test asks for it. */
const clock = {
  nowMs: () => 1_000_000,
  elapsedMs: () => 1_000_000,
  setTimer: () => ({ cancel: () => undefined }),
  defer: (callback: () => void) => void setImmediate(callback),
}

/** A machine whose process is killed, and whose files are then removed by somebody. */
class Machine {
  disk = new FaultyDisk({ random: seededRandom(5) })
  #home = new MemoryHome()

  open(): Promise<FileStore> {
    const limits = { segmentBytes: 8 * 1024, reserveBytes: 512, checkpointReserveBytes: 1024 }
    const openHome = async () => this.#home
    return openFileStore({ disk: this.disk, openHome, durability: 'file-durable', clock, limits })
  }

  kill(): void {
    this.disk = this.disk.crash('process')
    this.#home = this.#home.crash()
  }

  async remove(matches: (name: string) => boolean): Promise<void> {
    for (const name of await this.disk.list('journal'))
      if (matches(name)) await this.disk.remove(`journal/${name}`)
  }

  async bytesOf(name: string): Promise<Uint8Array> {
    const file = await this.disk.open(`journal/${name}`)
    const bytes = await file.read(0, await file.size())
    await file.close()
    return bytes.slice()
  }

  async write(name: string, bytes: Uint8Array): Promise<void> {
    const file = await this.disk.create(`journal/${name}`)
    await file.write(0, [bytes])
    await file.sync()
    await file.close()
  }

  async findings(): Promise<readonly Finding[]> {
    const findings: Finding[] = []
    const home = {
      get: this.#home.get.bind(this.#home),
      range: this.#home.range.bind(this.#home),
      entryCount: undefined,
    }
    await checkData(this.disk, home, {
      find: (finding) => void findings.push(finding),
      count: () => undefined,
      progress: async () => undefined,
    })
    return findings
  }
}

async function contentOf(disk: Disk): Promise<readonly string[]> {
  return [...(await disk.list('journal')), ...(await disk.list('blocks'))].sort()
}

const isSegment = (name: string): boolean => name.endsWith('.seg')

/** One stream, written down by a checkpoint or not, and then a kill. */
async function killed({ isWritten }: { readonly isWritten: boolean }): Promise<Machine> {
  const machine = new Machine()
  const store = await machine.open()
  const stream = new WrittenStream('a')
  await stream.create(store)
  for (let append = 0; append < 40; append++) await stream.append(store, Buffer.alloc(500, 'x'))
  if (isWritten) await store.checkpoint()
  await stream.append(store, Buffer.alloc(500, 'y'))
  machine.kill()
  return machine
}

describe.each([
  { what: 'all of the journal', matches: () => true },
  { what: 'every segment but not the spare', matches: isSegment },
])('after a kill, a start without $what', ({ matches }) => {
  it.each([true, false])('is refused and changes nothing (checkpoint before: %s)', async (isWritten) => {
    const machine = await killed({ isWritten })
    await machine.remove(matches)
    const before = await contentOf(machine.disk)

    await expect(machine.open()).rejects.toThrow(
      /The journal has lost its end: journal\/[0-9]{10}\.seg .* has none/,
    )
    expect(await contentOf(machine.disk)).toEqual(before)
    machine.kill()
    const errors = (await machine.findings()).filter(({ severity }) => severity === 'error')
    expect(errors.map(({ what }) => what)).toContainEqual(expect.stringMatching('has lost its end'))
  })
})

it('the newest segment is missed too, once a checkpoint has seen it', async () => {
  const machine = await killed({ isWritten: true })
  const newest = (await machine.disk.list('journal')).filter(isSegment).sort().at(-1)
  await machine.remove((name) => name === newest)

  await expect(machine.open()).rejects.toThrow('The journal has lost its end')
})

describe.each([
  ['zeros', (bytes: Uint8Array) => new Uint8Array(bytes.length)],
  ['nothing', () => new Uint8Array(0)],
  ['the segment before it', (_: Uint8Array, before: Uint8Array) => before],
] as const)('a newest segment that has become %s', (_what, damaged) => {
  it('is missed after a kill', async () => {
    const machine = await killed({ isWritten: false })
    const [before = '', newest = ''] = (await machine.disk.list('journal')).filter(isSegment).sort().slice(-2)
    const [old, whole] = [await machine.bytesOf(before), await machine.bytesOf(newest)]
    await machine.remove((name) => name === newest)
    await machine.write(newest, damaged(whole, old))

    await expect(machine.open()).rejects.toThrow('has neither its header nor any record left')
    machine.kill()
    const errors = (await machine.findings()).filter(({ severity }) => severity === 'error')
    expect(errors.map(({ what }) => what)).toContainEqual(
      expect.stringMatching('neither its header nor any record'),
    )
  })
})

it('after a stop in order the journal holds nothing that is needed, and may be gone', async () => {
  const machine = new Machine()
  const store = await machine.open()
  const stream = new WrittenStream('a')
  await stream.create(store)
  await stream.append(store, Buffer.from('kept'))
  await store.close()
  machine.kill()
  await machine.remove(() => true)

  expect(await machine.findings()).toEqual([expect.objectContaining({ severity: 'notice' })])
  const again = await machine.open()
  const [found] = await again.load([stream.path])
  expect(found?.state.tail).toBe(4)
})

it('a start that is killed at any of its steps is not taken for a loss', async () => {
  for (const isWritten of [true, false]) {
    for (let atStep = 1, isOver = false; !isOver; atStep++) {
      const machine = await killed({ isWritten })
      const first = machine.disk.statistics().steps
      machine.disk.fail(({ step }) => step > first + atStep)
      isOver = await machine.open().then(
        () => true,
        () => false,
      )
      machine.kill()
      const again = await machine.open()
      const stream = new WrittenStream('a')
      const [found] = await again.load([stream.path])
      expect(found?.state.tail).toBe(41 * 500)
      expect(atStep).toBeLessThan(200)
    }
  }
})
