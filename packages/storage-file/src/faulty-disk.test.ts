import { describe, expect, it } from 'vitest'
import { DiskFull } from './disk.ts'
import { describeDisk } from './disk-contract.fixture.ts'
import { DiskGone, type DiskOperation, FaultyDisk, InjectedFailure } from './faulty-disk.ts'
import { seededRandom } from './seeded-random.fixture.ts'

describeDisk(async () => new FaultyDisk({ random: seededRandom(1) }))

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1')

function newDisk(seed = 1): FaultyDisk {
  return new FaultyDisk({ random: seededRandom(seed) })
}

/** The text of a file, or `undefined` if it is not there. */
async function textOf(disk: FaultyDisk, name: string): Promise<string | undefined> {
  if (!(await disk.exists(name))) return undefined
  const file = await disk.open(name)
  const read = await file.read(0, await file.size())
  await file.close()
  return Buffer.from(read).toString('latin1')
}

describe('the hook', () => {
  it('is told every operation before it takes effect, with its number', async () => {
    const seen: DiskOperation[] = []
    const disk = new FaultyDisk({ random: seededRandom(1), onStep: (operation) => void seen.push(operation) })
    const lock = await disk.lock()
    await disk.makeFolder('sub')
    const file = await disk.create('sub/one')
    await file.write(3, [bytes('ab'), bytes('c')])
    await file.sync()
    await file.read(1, 2)
    await file.truncate(5)
    await file.size()
    await file.close()
    await disk.rename('sub/one', 'sub/two')
    await disk.syncFolder('sub')
    await disk.exists('sub/two')
    await disk.list('sub')
    await (await disk.open('sub/two')).close()
    await disk.remove('sub/two')
    await lock.release()
    expect(seen.map(({ step }) => step)).toEqual(seen.map((_, index) => index + 1))
    const told = seen.map(({ kind, name, to, position, length }) =>
      [kind, name, to, position, length].filter((part) => part !== undefined).join(' '),
    )
    expect(told).toEqual([
      'lock LOCK',
      'makeFolder sub',
      'create sub/one',
      'write sub/one 3 3',
      'sync sub/one',
      'read sub/one 1 2',
      'truncate sub/one 5',
      'size sub/one',
      'close sub/one',
      'rename sub/one sub/two',
      'syncFolder sub',
      'exists sub/two',
      'list sub',
      'open sub/two',
      'close sub/two',
      'remove sub/two',
      'unlock LOCK',
    ])
    expect(disk.statistics().steps).toBe(17)
  })

  it('delays the operation, and others may overtake it', async () => {
    let resume: () => void = () => undefined
    const disk = new FaultyDisk({
      random: seededRandom(1),
      onStep: ({ kind, length }) =>
        kind === 'write' && length === 1
          ? new Promise<void>((resolve) => {
              resume = resolve
            })
          : undefined,
    })
    const file = await disk.create('one')
    const slow = file.write(0, [bytes('a')])
    await file.write(0, [bytes('bb')])
    expect(await textOf(disk, 'one')).toBe('bb')
    resume()
    await slow
    expect(await textOf(disk, 'one')).toBe('ab')
  })

  it('may crash the disk: the operation does not take effect, and every later call rejects', async () => {
    let found: FaultyDisk | undefined
    const disk = new FaultyDisk({
      random: seededRandom(1),
      onStep: ({ kind }) => {
        if (kind === 'sync') found = disk.crash('process')
      },
    })
    const lock = await disk.lock()
    const file = await disk.create('one')
    await file.write(0, [bytes('abc')])
    await expect(file.sync()).rejects.toThrow(DiskGone)
    await expect(file.read(0, 1)).rejects.toThrow(DiskGone)
    await expect(file.close()).rejects.toThrow(DiskGone)
    await expect(disk.open('one')).rejects.toThrow(DiskGone)
    await expect(disk.lock()).rejects.toThrow(DiskGone)
    await expect(lock.release()).rejects.toThrow(DiskGone)
    await found?.lock()
    expect(found && (await textOf(found, 'one'))).toBe('abc')
  })

  it('takes the bytes of a write when it takes effect', async () => {
    const disk = newDisk()
    const file = await disk.create('one')
    const piece = bytes('aaa')
    const writing = file.write(0, [piece])
    piece.fill('b')
    await writing
    expect(await textOf(disk, 'one')).toBe('bbb')
  })
})

describe('a power cut', () => {
  it('leaves what was synced, in files and folders that were synced, however often', async () => {
    for (let seed = 0; seed < 50; seed++) {
      const disk = newDisk(seed)
      await disk.makeFolder('sub')
      await disk.syncFolder('')
      const file = await disk.create('sub/one')
      await file.write(0, [bytes('abc')])
      await file.truncate(2)
      await file.sync()
      await disk.rename('sub/one', 'sub/two')
      await disk.syncFolder('sub')
      const after = disk.crash().crash().crash()
      expect(await after.list('')).toEqual(['sub'])
      expect(await after.list('sub')).toEqual(['two'])
      expect(await textOf(after, 'sub/two')).toBe('ab')
    }
  })

  /** What is found in many futures of the same history. */
  async function futures(
    history: (disk: FaultyDisk) => Promise<void>,
    look: (disk: FaultyDisk) => Promise<string | undefined>,
  ): Promise<ReadonlyMap<string | undefined, number>> {
    const found = new Map<string | undefined, number>()
    for (let seed = 0; seed < 400; seed++) {
      const disk = newDisk(seed)
      await history(disk)
      const one = await look(disk.crash())
      found.set(one, (found.get(one) ?? 0) + 1)
    }
    return found
  }

  async function durableFile(disk: FaultyDisk, content: string): ReturnType<FaultyDisk['create']> {
    const file = await disk.create('one')
    await file.write(0, [bytes(content)])
    await file.sync()
    await disk.syncFolder('')
    return file
  }

  it('keeps, drops or tears each write that was not synced, in any order', async () => {
    const found = await futures(
      async (disk) => {
        const file = await durableFile(disk, '......')
        await file.write(0, [bytes('aaa')])
        await file.write(3, [bytes('bbb')])
      },
      (disk) => textOf(disk, 'one'),
    )
    expect([...found.keys()]).toEqual(
      expect.arrayContaining(['......', 'aaabbb', 'aaa...', '...bbb', 'a.....', '...bb.', 'aa.b..']),
    )
    expect([...found.keys()].every((text) => /^a{0,3}\.*b{0,3}\.*$/.test(text ?? ''))).toBe(true)
  })

  it('tears large writes by sectors too', async () => {
    const found = await futures(
      async (disk) => {
        const file = await durableFile(disk, '.'.repeat(2048))
        await file.write(100, [Buffer.alloc(1500, 'a')])
      },
      async (disk) => {
        const text = await textOf(disk, 'one')
        const sectors = [0, 512, 1024, 1536].map((at) => text?.slice(at, at + 512) ?? '')
        const whole = [`${'.'.repeat(100)}${'a'.repeat(412)}`, 'a'.repeat(512), 'a'.repeat(512)]
        return sectors.map((sector, index) => (sector === (whole[index] ?? sector) ? '1' : '0')).join('')
      },
    )
    expect([...found.keys()]).toEqual(expect.arrayContaining(['1111', '0001', '0101', '0011', '1011']))
  })

  it('keeps or drops the length of a file apart from its bytes', async () => {
    const found = await futures(
      async (disk) => {
        const file = await durableFile(disk, 'ab')
        await file.write(2, [bytes('cd')])
      },
      (disk) => textOf(disk, 'one'),
    )
    expect([...found.keys()].sort()).toEqual(['ab', 'ab\0\0', 'abc', 'abc\0', 'abcd'])
  })

  it('keeps or drops a truncation', async () => {
    const found = await futures(
      async (disk) => (await durableFile(disk, 'abcd')).truncate(1),
      (disk) => textOf(disk, 'one'),
    )
    expect([...found.keys()].sort()).toEqual(['a', 'abcd'])
  })

  it('keeps or drops a creation, with its bytes or without', async () => {
    const found = await futures(
      async (disk) => {
        const file = await disk.create('one')
        await file.write(0, [bytes('a')])
        await file.sync()
      },
      (disk) => textOf(disk, 'one'),
    )
    expect([...found.keys()].sort()).toEqual(['a', undefined])
    const empty = await futures(
      async (disk) => {
        await (await disk.create('one')).write(0, [bytes('a')])
        await disk.syncFolder('')
      },
      (disk) => textOf(disk, 'one'),
    )
    expect([...empty.keys()].sort()).toEqual(['', '\0', 'a'])
  })

  it('keeps or drops a rename as a whole, and a removal', async () => {
    const names = async (disk: FaultyDisk): Promise<string> => [...(await disk.list(''))].sort().join()
    const renamed = await futures(async (disk) => {
      await durableFile(disk, 'a')
      await disk.rename('one', 'two')
    }, names)
    expect([...renamed.keys()].sort()).toEqual(['one', 'two'])
    const removed = await futures(async (disk) => {
      await durableFile(disk, 'a')
      await disk.remove('one')
    }, names)
    expect([...removed.keys()].sort()).toEqual(['', 'one'])
  })

  it('keeps changes of a folder independently of each other, or only the first ones', async () => {
    const history = async (disk: FaultyDisk): Promise<void> => {
      for (const name of ['a', 'b', 'c']) await (await disk.create(name)).close()
    }
    const names = async (disk: FaultyDisk): Promise<string> => [...(await disk.list(''))].sort().join('')
    const any = await futures(history, names)
    expect([...any.keys()].sort()).toEqual(['', 'a', 'ab', 'abc', 'ac', 'b', 'bc', 'c'])
    const inOrder = new Set<string>()
    for (let seed = 0; seed < 100; seed++) {
      const disk = new FaultyDisk({ random: seededRandom(seed), entrySurvival: 'in-order' })
      await history(disk)
      inOrder.add(await names(disk.crash()))
    }
    expect([...inOrder].sort()).toEqual(['', 'a', 'ab', 'abc'])
  })

  it('never leaves a file under two names', async () => {
    const found = await futures(
      async (disk) => {
        await durableFile(disk, 'a')
        await disk.rename('one', 'two')
        await disk.rename('two', 'three')
      },
      async (disk) => (await disk.list('')).join(),
    )
    expect([...found.keys()].sort()).toEqual(['one', 'three', 'two'])
  })

  it('never removes, in place of a file whose creation is lost, the one that had its name before', async () => {
    const found = await futures(
      async (disk) => {
        await durableFile(disk, 'old')
        await (await disk.create('new')).write(0, [bytes('new')])
        await disk.rename('new', 'one')
        await disk.rename('one', 'two')
      },
      async (disk) => textOf(disk, 'one'),
    )
    expect(found.has('old')).toBe(true)
  })

  it('loses a folder that was not synced with all that was synced in it', async () => {
    const found = await futures(
      async (disk) => {
        await disk.makeFolder('sub')
        const file = await disk.create('sub/one')
        await file.write(0, [bytes('a')])
        await file.sync()
        await disk.syncFolder('sub')
      },
      (disk) => textOf(disk, 'sub/one'),
    )
    expect([...found.keys()].sort()).toEqual(['a', undefined])
  })

  it('is the same for the same seed', async () => {
    const look = async (seed: number): Promise<string | undefined> => {
      const disk = newDisk(seed)
      const file = await durableFile(disk, '.'.repeat(64))
      for (let at = 0; at < 64; at += 4) await file.write(at, [bytes('abcd')])
      return textOf(disk.crash(), 'one')
    }
    const first = await Promise.all(Array.from({ length: 20 }, (_, seed) => look(seed)))
    const second = await Promise.all(Array.from({ length: 20 }, (_, seed) => look(seed)))
    expect(second).toEqual(first)
    expect(new Set(first).size).toBeGreaterThan(10)
  })
})

describe('the end of a process', () => {
  it('loses nothing, and syncs nothing either', async () => {
    const outcomes = new Set<string>()
    for (let seed = 0; seed < 100; seed++) {
      const disk = newDisk(seed)
      const file = await disk.create('one')
      await disk.syncFolder('')
      await file.write(0, [bytes('ab')])
      await (await disk.create('two')).close()
      const after = disk.crash('process')
      expect(await textOf(after, 'one')).toBe('ab')
      expect(await textOf(after, 'two')).toBe('')
      expect(after.statistics().openFiles).toBe(0)
      const later = after.crash('power')
      outcomes.add(`${await textOf(later, 'one')} ${await textOf(later, 'two')}`)
    }
    expect(outcomes).toContain('ab ')
    expect(outcomes).toContain(' undefined')
  })

  it('may come in the middle of a write, and so may a power cut', async () => {
    for (const kind of ['process', 'power'] as const) {
      const found = new Set<string | undefined>()
      for (let seed = 0; seed < 100; seed++) {
        let after: FaultyDisk | undefined
        const disk = new FaultyDisk({
          random: seededRandom(seed),
          onStep: (operation) => {
            if (operation.kind === 'write' && operation.position === 1) after = disk.crash(kind)
          },
        })
        const file = await disk.create('one')
        await file.write(0, [bytes('.')])
        await file.sync()
        await disk.syncFolder('')
        await expect(file.write(1, [bytes('ab'), bytes('c')])).rejects.toThrow(DiskGone)
        if (after !== undefined) found.add(await textOf(after, 'one'))
      }
      expect([...found]).toEqual(expect.arrayContaining(['.', '.a', '.ab', '.abc']))
    }
  })

  it('leaves a file synced later what it is', async () => {
    const disk = newDisk()
    await (await disk.create('one')).write(0, [bytes('ab')])
    const after = disk.crash('process')
    const file = await after.open('one')
    await file.sync()
    await after.syncFolder('')
    expect(await textOf(after.crash('power'), 'one')).toBe('ab')
  })
})

describe('an injected failure', () => {
  it('rejects the operations that it matches, until it is taken away', async () => {
    const disk = newDisk()
    const file = await disk.create('one')
    await file.write(0, [bytes('abc')])
    const repair = disk.fail(({ kind, name }) => kind === 'read' && name === 'one')
    await expect(file.read(0, 3)).rejects.toThrow(InjectedFailure)
    await expect(file.read(0, 3)).rejects.toMatchObject({ code: 'EIO' })
    expect(await file.size()).toBe(3)
    repair()
    expect((await file.read(0, 3)).length).toBe(3)
  })

  it('of a write may leave a part of it', async () => {
    const found = new Set<string | undefined>()
    for (let seed = 0; seed < 100; seed++) {
      const disk = newDisk(seed)
      const file = await disk.create('one')
      disk.fail(({ kind }) => kind === 'write')
      await expect(file.write(0, [bytes('abc')])).rejects.toThrow(InjectedFailure)
      found.add(await textOf(disk, 'one'))
    }
    expect([...found].sort()).toEqual(['', 'a', 'ab', 'abc'])
  })

  it('of a sync forgets what was not written: the next one succeeds, a power cut loses it', async () => {
    const found = new Set<string | undefined>()
    for (let seed = 0; seed < 100; seed++) {
      const disk = newDisk(seed)
      const file = await disk.create('one')
      await disk.syncFolder('')
      await file.truncate(3)
      await file.sync()
      await file.write(0, [bytes('abc')])
      const repair = disk.fail(({ kind }) => kind === 'sync')
      await expect(file.sync()).rejects.toThrow(InjectedFailure)
      repair()
      await file.sync()
      expect(await textOf(disk, 'one')).toBe('abc')
      found.add(await textOf(disk.crash(), 'one'))
    }
    expect(found).toContain('\0\0\0')
    expect(found).toContain('abc')
  })

  it('of a folder sync forgets its changes in the same way', async () => {
    const found = new Set<string | undefined>()
    for (let seed = 0; seed < 100; seed++) {
      const disk = newDisk(seed)
      await (await disk.create('one')).close()
      const repair = disk.fail(({ kind }) => kind === 'syncFolder')
      await expect(disk.syncFolder('')).rejects.toThrow(InjectedFailure)
      repair()
      await disk.syncFolder('')
      expect(await textOf(disk, 'one')).toBe('')
      found.add(await textOf(disk.crash(), 'one'))
    }
    expect([...found].sort()).toEqual(['', undefined])
  })

  it('of anything else changes nothing', async () => {
    const disk = newDisk()
    await (await disk.create('one')).close()
    const repair = disk.fail(() => true)
    await expect(disk.create('two')).rejects.toThrow(InjectedFailure)
    await expect(disk.rename('one', 'two')).rejects.toThrow(InjectedFailure)
    await expect(disk.remove('one')).rejects.toThrow(InjectedFailure)
    await expect(disk.makeFolder('sub')).rejects.toThrow(InjectedFailure)
    await expect(disk.lock()).rejects.toThrow(InjectedFailure)
    repair()
    expect(await disk.list('')).toEqual(['one'])
    await disk.lock()
  })
})

describe('a disk with a capacity', () => {
  it('takes what fits and rejects the rest, and overwrites when it is full', async () => {
    const disk = new FaultyDisk({ random: seededRandom(1), capacityBytes: 6 })
    const file = await disk.create('one')
    await file.write(0, [bytes('abcd')])
    await expect(file.write(4, [bytes('ef'), bytes('gh')])).rejects.toThrow(DiskFull)
    expect(await textOf(disk, 'one')).toBe('abcdef')
    await file.write(0, [bytes('XY')])
    await expect(file.truncate(7)).rejects.toThrow(DiskFull)
    await expect((await disk.create('two')).write(0, [bytes('a')])).rejects.toThrow(DiskFull)
    expect(await textOf(disk, 'one')).toBe('XYcdef')
    expect(await textOf(disk, 'two')).toBe('')
  })

  it('gets room by truncation, by a larger medium, and by removal once nobody has the file open', async () => {
    const disk = new FaultyDisk({ random: seededRandom(1), capacityBytes: 4 })
    const file = await disk.create('one')
    await file.write(0, [bytes('abcd')])
    await file.truncate(2)
    await file.write(2, [bytes('ef')])
    disk.resize(5)
    await file.write(4, [bytes('g')])
    await disk.remove('one')
    const other = await disk.create('two')
    await expect(other.write(0, [bytes('a')])).rejects.toThrow(DiskFull)
    await file.close()
    await other.write(0, [bytes('abcde')])
    expect(disk.statistics()).toMatchObject({ openFiles: 1, files: 1, bytes: 5 })
    disk.resize(1)
    await expect(other.write(5, [bytes('f')])).rejects.toThrow(DiskFull)
    await other.write(0, [bytes('X')])
    expect(await textOf(disk, 'two')).toBe('Xbcde')
  })

  it('has it after a crash too', async () => {
    const disk = new FaultyDisk({ random: seededRandom(1), capacityBytes: 100 })
    disk.resize(1)
    const file = await disk.crash().create('one')
    await expect(file.write(0, [bytes('ab')])).rejects.toThrow(DiskFull)
  })
})

describe('a flipped bit', () => {
  it('is read at once and after a power cut', async () => {
    const disk = newDisk()
    const file = await disk.create('one')
    await file.write(0, [bytes('aaa')])
    await file.sync()
    await disk.syncFolder('')
    disk.flipBit('one', 1, 1)
    expect(await textOf(disk, 'one')).toBe('aca')
    expect(await textOf(disk.crash(), 'one')).toBe('aca')
    expect(() => disk.flipBit('one', 3, 0)).toThrow(RangeError)
  })
})

describe('statistics', () => {
  it('count open files, files and bytes', async () => {
    const disk = newDisk()
    await disk.makeFolder('sub')
    const one = await disk.create('sub/one')
    const two = await disk.create('two')
    await one.write(0, [bytes('abc')])
    await two.write(9, [bytes('d')])
    expect(disk.statistics()).toEqual({ openFiles: 2, files: 2, bytes: 13, steps: 5 })
    await two.close()
    await two.close()
    expect(disk.statistics()).toMatchObject({ openFiles: 1, steps: 6 })
    expect(disk.crash('process').statistics()).toEqual({ openFiles: 0, files: 2, bytes: 13, steps: 6 })
  })
})
