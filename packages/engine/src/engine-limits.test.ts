import { describe, expect, it } from 'vitest'
import {
  at,
  Call,
  expiresAt,
  inShort,
  path,
  pollInShort,
  RecordingSink,
  textOf,
  World,
  type WorldOptions,
} from './engine-world.fixture.ts'
import { DEFAULT_ENGINE_LIMITS } from './limits.ts'

async function worldWith(limits: WorldOptions['limits'] = {}, ...names: string[]): Promise<World> {
  const world = new World({ limits })
  for (const name of ['a', ...names]) await world.done(world.create(name))
  return world
}

describe('commits under way', () => {
  it('maxPendingCommits: one more is refused, and changes nothing', async () => {
    const world = await worldWith({ maxPendingCommits: 3 })
    world.storage.commits.shut()
    const calls = ['1', '2', '3'].map((content) => new Call(world.append('a', content)))
    await world.settle()
    expect(inShort(await world.done(world.append('a', '4', { producer: ['p', 0, 0] })))).toBe(
      'rejected: busy',
    )
    expect(inShort(await world.done(world.create('b')))).toBe('rejected: busy')
    expect(world.engine.statistics().pendingCommits).toBe(3)
    world.storage.commits.open()
    await world.settle()
    expect(calls.map(({ result }) => inShort(result))).toEqual(['appended', 'appended', 'appended'])
    expect(inShort(await world.done(world.append('a', '4', { producer: ['p', 0, 0] })))).toBe('appended')
    expect(await world.text('a')).toBe('1234')
  })

  it('maxPendingBytes: nothing more once so many bytes wait, everything again when they are stored', async () => {
    const world = await worldWith({ maxPendingBytes: 10 })
    world.storage.commits.shut()
    const calls = ['12345', '6789', 'x'.repeat(50)].map((content) => new Call(world.append('a', content)))
    await world.settle()
    expect(inShort(await world.done(world.append('a', 'y')))).toBe('rejected: busy')
    expect(inShort(await world.done(world.close('a')))).toBe('rejected: busy')
    world.storage.commits.open()
    await world.settle()
    expect(calls.map(({ result }) => inShort(result))).toEqual(['appended', 'appended', 'appended'])
    expect(inShort(await world.done(world.append('a', 'y')))).toBe('appended')
  })

  it('maxPendingBytes: exactly so many are enough', async () => {
    const world = await worldWith({ maxPendingBytes: 10 })
    world.storage.commits.shut()
    const first = new Call(world.append('a', '1234567890'))
    await world.settle()
    expect(inShort(await world.done(world.append('a', 'y')))).toBe('rejected: busy')
    world.storage.commits.open()
    await world.settle()
    expect(inShort(first.result)).toBe('appended')
  })
})

describe('live readers', () => {
  it('maxReadersPerStream: one more is refused, whichever way it reads', async () => {
    const world = await worldWith({ maxReadersPerStream: 2 }, 'b')
    const first = world.poll('a', 0)
    const sink = await world.follow('a', 0)
    const third = world.poll('a', 0)
    await world.settle()
    expect(pollInShort(third)).toBe('rejected: busy')
    await expect(world.follow('a', 0)).rejects.toThrow('busy')
    expect(pollInShort(world.poll('b', 0))).toBe('waits')
    sink.follower?.stop()
    const fourth = world.poll('a', 0)
    await world.done(world.append('a', 'x'))
    expect([first, fourth].map(pollInShort)).toEqual(['x', 'x'])
  })

  it('maxReaders: one more is refused, whichever stream it reads', async () => {
    const world = await worldWith({ maxReaders: 2 }, 'b', 'c')
    const first = world.poll('a', 0)
    await world.follow('b', 0)
    const third = world.poll('c', 0)
    await world.settle()
    expect(pollInShort(third)).toBe('rejected: busy')
    await expect(world.follow('c', 0)).rejects.toThrow('busy')
    expect(world.engine.statistics().readers).toBe(2)
    first.abort()
    await world.settle()
    const fourth = world.poll('c', 0)
    await world.settle()
    expect(pollInShort(fourth)).toBe('waits')
  })

  it('readers who need not wait are not counted', async () => {
    const world = await worldWith({ maxReaders: 1 })
    await world.done(world.append('a', 'x'))
    await world.follow('a', 1)
    const poll = world.poll('a', 0)
    await world.settle()
    expect(pollInShort(poll)).toBe('x')
    expect(await world.text('a')).toBe('x')
  })

  it('readers who were let in together and begin later stay below the bound', async () => {
    const world = await worldWith({ maxReadersPerStream: 2 })
    const results = await world.done(
      Promise.all([0, 0, 0, 0].map((position) => world.engine.follow(path('a'), at(position)))),
    )
    const sinks = results.map((result) => {
      const sink = new RecordingSink()
      if (result.kind === 'following') result.begin(sink, { lifetimeMs: 0, heartbeatMs: 0 }).resume()
      return sink
    })
    await world.settle()
    expect(world.engine.statistics().readers).toBeLessThanOrEqual(2)
    expect(sinks.filter(({ slices }) => slices.length > 0).length).toBeLessThanOrEqual(2)
  })

  it('wakesPerTurn: a large audience is woken in parts', async () => {
    const world = await worldWith({ wakesPerTurn: 4 })
    const sinks: RecordingSink[] = []
    for (let i = 0; i < 10; i++) sinks.push(await world.follow('a', 0))
    world.storage.script = { synchronous: true }
    const append = world.append('a', 'x')
    await Promise.resolve()
    const seen: number[] = []
    while (world.clock.endTurn()) {
      await append
      seen.push(sinks.filter(({ text }) => text === 'x').length)
    }
    expect(seen.filter((count) => count > 0)).toEqual([4, 8, 10])
  })
})

describe('streams in memory', () => {
  it('maxIdleStreams: 0 keeps nothing that is not in use, and everything works', async () => {
    const world = await worldWith({ maxIdleStreams: 0 })
    await world.done(world.append('a', 'x'))
    expect(world.engine.statistics().entities).toBe(0)
    const poll = world.poll('a', 1)
    await world.settle()
    expect(world.engine.statistics().entities).toBe(1)
    await world.done(world.append('a', 'y'))
    expect(pollInShort(poll)).toBe('y')
    expect(await world.text('a')).toBe('xy')
    expect(world.engine.statistics().entities).toBe(0)
  })

  it('maxIdleStreams: a stream that is dropped before a follower begins is followed all the same', async () => {
    const world = await worldWith({ maxIdleStreams: 0 })
    await world.done(world.append('a', 'x'))
    const sink = await world.follow('a', 0)
    expect([sink.text, sink.ended]).toEqual(['x', undefined])
    await world.done(world.append('a', 'y'))
    expect([sink.text, sink.ended]).toEqual(['xy', undefined])
  })
})

describe('slices', () => {
  it('chunkBytes: a read ends on the grid, exactly', async () => {
    const world = await worldWith({ chunkBytes: 10 })
    await world.done(world.append('a', 'x'.repeat(25)))
    // From a place just before a border on, what is left of it goes with the next part.
    const expected = [
      [0, 10],
      [1, 10],
      [5, 10],
      [6, 20],
      [10, 20],
      [15, 20],
      [16, 25],
      [20, 25],
      [24, 25],
    ] as const
    for (const [from, to] of expected) {
      const result = await world.done(world.read('a', from))
      expect(result).toMatchObject({ kind: 'slice', slice: { from, to } })
    }
  })

  it('maxSharedSliceBytes: up to so many bytes are shared, and not one more', async () => {
    for (const [size, isShared] of [
      [8, true],
      [9, false],
    ] as const) {
      const world = await worldWith({ maxSharedSliceBytes: 8 })
      world.storage.script = { synchronous: true }
      const [one, other] = [await world.follow('a', 0), await world.follow('a', 0)]
      await world.done(world.append('a', 'x'.repeat(size)))
      const [first, second] = [one.slices.at(-1), other.slices.at(-1)]
      expect([first, second].map((slice) => slice && textOf(slice).length)).toEqual([size, size])
      expect(first === second).toBe(isShared)
    }
  })
})

describe('sweeps', () => {
  it('sweepBatch: so many expired streams in one sweep, the rest in the next ones', async () => {
    const world = new World({ limits: { sweepBatch: 3 }, sweepIntervalMs: 1000 })
    const endMs = world.clock.nowMs() + 500
    for (let i = 0; i < 8; i++) await world.done(world.create(`s${i}`, { expiry: expiresAt(endMs) }))
    const left: number[] = []
    for (let round = 0; round < 4; round++) {
      left.push((await world.storage.list('', undefined, 100)).length)
      await world.pass(1025)
    }
    expect(left).toEqual([8, 5, 2, 0])
  })
})

describe('the defaults', () => {
  it('are all finite and above zero, but for what only the disk bounds', () => {
    const { maxStreamBytes, maxStreams, maxTotalBytes, ...others } = DEFAULT_ENGINE_LIMITS
    expect(Object.values(others).every((value) => Number.isSafeInteger(value) && value > 0)).toBe(true)
    expect([maxStreamBytes, maxStreams, maxTotalBytes]).toEqual(Array(3).fill(Number.POSITIVE_INFINITY))
  })
})
