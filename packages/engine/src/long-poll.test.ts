import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Call, inShort, type Poll, pollInShort, textOf, World } from './engine-world.fixture.ts'

async function worldWith(body = '', limits = {}): Promise<World> {
  const world = new World({ limits })
  await world.done(world.create('a', { body }))
  return world
}

/** Nothing of a reader is left: no deadline but the sweep's, no entry but idle ones, nobody counted. */
function leftovers(world: World): unknown {
  const { readers, deadlines, pendingCommits } = world.engine.statistics()
  return { readers, deadlines, pendingCommits }
}

const NOTHING_LEFT = { readers: 0, deadlines: 1, pendingCommits: 0 }

describe('an answer at once', () => {
  it('is what is there already', async () => {
    const world = await worldWith('abc')
    const poll = world.poll('a', 1)
    await world.settle()
    expect(pollInShort(poll)).toBe('bc')
    expect(leftovers(world)).toEqual(NOTHING_LEFT)
  })

  it('is the end of a closed stream', async () => {
    const world = await worldWith('abc')
    await world.done(world.close('a'))
    const polls = [world.poll('a', 3), world.poll('a', 'now'), world.poll('a', 0)]
    await world.settle()
    expect(polls.map(pollInShort)).toEqual(['nothing, closed', 'nothing, closed', 'abc, closed'])
  })

  it('is no, for what is not there', async () => {
    const world = await worldWith('abc')
    const polls = [world.poll('a', 4), world.poll('b', 0), world.poll('b', 'now')]
    await world.settle()
    expect(polls.map(pollInShort)).toEqual([
      'rejected: invalid-offset',
      'rejected: not-found',
      'rejected: not-found',
    ])
  })

  it('R-178: is gone, for a stream that only its forks still see', async () => {
    const world = await worldWith('abc')
    await world.done(world.create('fork', { fork: { from: 'a' } }))
    await world.done(world.remove('a'))
    const poll = world.poll('a', 3)
    await world.settle()
    expect(pollInShort(poll)).toBe('rejected: gone')
  })
})

describe('waiting', () => {
  it('ends with the bytes of the next append', async () => {
    const world = await worldWith('abc')
    const polls = [world.poll('a', 3), world.poll('a', 'now')]
    await world.settle()
    expect(polls.map(pollInShort)).toEqual(['waits', 'waits'])
    expect(leftovers(world)).toEqual({ readers: 2, deadlines: 3, pendingCommits: 0 })
    await world.done(world.append('a', 'def'))
    expect(polls.map(pollInShort)).toEqual(['def', 'def'])
    expect(leftovers(world)).toEqual(NOTHING_LEFT)
  })

  it('ends when an append is durable, not before', async () => {
    const world = await worldWith()
    world.storage.answers.shut()
    const poll = world.poll('a', 0)
    const append = new Call(world.append('a', 'x'))
    await world.settle()
    expect([pollInShort(poll), append.isDone]).toEqual(['waits', false])
    world.storage.answers.open()
    await world.settle()
    expect(pollInShort(poll)).toBe('x')
  })

  it('R-130: R-175: ends at once when the stream is closed', async () => {
    const world = await worldWith('abc')
    const poll = world.poll('a', 3)
    await world.settle()
    await world.done(world.close('a'))
    expect(pollInShort(poll)).toBe('nothing, closed')
    expect(leftovers(world)).toEqual(NOTHING_LEFT)
  })

  it('R-176: ends with the data when that is appended and the stream closed in one request', async () => {
    const world = await worldWith('abc')
    const poll = world.poll('a', 3)
    await world.settle()
    await world.done(world.append('a', 'final', { closes: true }))
    expect(pollInShort(poll)).toBe('final, closed')
  })

  it('R-176: ends with the data when appends and a close come before the reader looks', async () => {
    const world = await worldWith('abc')
    const poll = world.poll('a', 3)
    await world.settle()
    await world.done(Promise.all([world.append('a', 'fi'), world.append('a', 'nal'), world.close('a')]))
    expect(pollInShort(poll)).toBe('final, closed')
  })

  it('R-135: ends with not found when the stream is deleted', async () => {
    const world = await worldWith('abc')
    const polls = [world.poll('a', 3), world.poll('a', 'now')]
    await world.settle()
    await world.done(world.remove('a'))
    expect(polls.map(pollInShort)).toEqual(['rejected: not-found', 'rejected: not-found'])
    expect(leftovers(world)).toEqual(NOTHING_LEFT)
    expect(world.engine.statistics().entities).toBe(0)
  })

  it('R-135: ends with not found when the stream is deleted and made anew before the reader looks', async () => {
    const world = await worldWith('abc')
    const poll = world.poll('a', 3)
    await world.settle()
    await world.done(Promise.all([world.remove('a'), world.create('a', { body: 'other bytes' })]))
    expect(pollInShort(poll)).toBe('rejected: not-found')
  })

  it('R-178: ends with gone when the stream is deleted but has forks', async () => {
    const world = await worldWith('abc')
    await world.done(world.create('fork', { fork: { from: 'a' } }))
    const poll = world.poll('a', 3)
    const onFork = world.poll('fork', 3)
    await world.settle()
    await world.done(world.remove('a'))
    expect([poll, onFork].map(pollInShort)).toEqual(['rejected: gone', 'waits'])
  })

  it('is not ended by the source of a fork', async () => {
    const world = await worldWith('abc')
    await world.done(world.create('fork', { fork: { from: 'a' } }))
    const poll = world.poll('fork', 3)
    await world.done(world.append('a', 'source'))
    expect(pollInShort(poll)).toBe('waits')
    await world.done(world.append('fork', 'own'))
    expect(pollInShort(poll)).toBe('own')
  })

  it('ends with nothing after its time, at the tail', async () => {
    const world = await worldWith('abc')
    const poll = world.poll('a', 'now', 20_000)
    await world.pass(19_999)
    expect(pollInShort(poll)).toBe('waits')
    await world.pass(26)
    expect(pollInShort(poll)).toBe('nothing')
    expect(poll.result).toMatchObject({ slice: { from: 3, to: 3, state: { tail: 3, closed: false } } })
    expect(leftovers(world)).toEqual(NOTHING_LEFT)
  })

  it('ends with nothing when the engine lets all readers go; later ones do not wait', async () => {
    const world = await worldWith('abc')
    const poll = world.poll('a', 3)
    await world.settle()
    world.engine.endLiveReaders()
    const later = world.poll('a', 3)
    await world.settle()
    expect([poll, later].map(pollInShort)).toEqual(['nothing', 'nothing'])
  })

  it('ends with the failure when the bytes cannot be read', async () => {
    const world = await worldWith()
    const poll = world.poll('a', 0)
    await world.settle()
    world.storage.script = {
      beforeRead: () => {
        throw new Error('bad sector')
      },
    }
    await world.done(world.append('a', 'x'))
    expect([poll.isDone, poll.result]).toEqual([true, undefined])
    expect(String(poll.error)).toContain('bad sector')
    expect(leftovers(world)).toEqual(NOTHING_LEFT)
  })

  it('ends with not found when the stream is removed while its bytes are being read', async () => {
    for (const synchronous of [false, true]) {
      const world = await worldWith()
      world.storage.reads.shut()
      const poll = world.poll('a', 0)
      await world.settle()
      await world.done(world.append('a', 'x'))
      if (synchronous) world.storage.script = { synchronous }
      await world.done(world.remove('a'))
      world.storage.reads.open()
      await world.settle()
      expect(pollInShort(poll)).toBe('rejected: not-found')
    }
  })
})

describe('a client that goes away', () => {
  it('R-177: frees its place', async () => {
    const world = await worldWith('abc', { maxReadersPerStream: 1 })
    const poll = world.poll('a', 3)
    await world.settle()
    poll.abort()
    await world.settle()
    expect(pollInShort(poll)).toBe('aborted')
    expect(leftovers(world)).toEqual(NOTHING_LEFT)
    const next = world.poll('a', 3)
    await world.done(world.append('a', 'd'))
    expect(pollInShort(next)).toBe('d')
  })

  it('R-177: frees its place, whenever it goes', async () => {
    const world = await worldWith()
    world.storage.reads.shut()
    const poll = world.poll('a', 0)
    await world.settle()
    await world.done(world.append('a', 'x'))
    poll.abort()
    poll.abort()
    world.storage.reads.open()
    await world.settle()
    expect(poll.isDone).toBe(true)
    expect(leftovers(world)).toEqual(NOTHING_LEFT)
  })

  it('may have gone before it waits', async () => {
    const world = await worldWith()
    const onAborted = (listener: () => void): void => listener()
    const poll = world.engine.poll(world.creation('a').path, { kind: 'now' }, { waitMs: 1000, onAborted })
    expect(await world.done(poll)).toEqual({ kind: 'aborted' })
    expect(leftovers(world)).toEqual(NOTHING_LEFT)
  })
})

/** One client that reads on from where its last answer ended, as fast as it can. */
class Reader {
  text = ''
  #poll: Poll | undefined
  #position = 0
  readonly #world: World

  constructor(world: World) {
    this.#world = world
  }

  /** Takes an answer that has come, and asks for the next. */
  go(): void {
    const result = this.#poll?.result
    if (this.#poll !== undefined && result === undefined) return
    if (result?.kind === 'slice') {
      this.text += textOf(result.slice)
      this.#position = result.slice.to
    }
    this.#poll = this.#world.poll('a', this.#position, 1e9)
  }
}

type Move = 'append' | 'read' | 'turn' | 'commit' | 'answer' | 'bytes' | 'promises'

async function make(world: World, readers: readonly Reader[], move: Move, at: number): Promise<void> {
  switch (move) {
    case 'append':
      new Call(world.append('a', `<${at}>`))
      return
    case 'read':
      readers[at % readers.length]?.go()
      return
    case 'turn':
      world.clock.endTurn()
      return
    case 'commit':
      return world.storage.commits.letGo()
    case 'answer':
      return world.storage.answers.letGo()
    case 'bytes':
      return world.storage.reads.letGo()
    case 'promises':
      for (let i = 0; i <= at % 7; i++) await Promise.resolve()
  }
}

describe('no lost wake-up', () => {
  it('R-177: an append that becomes durable at any moment while the reader starts to wait ends the wait', async () => {
    for (let before = 0; before <= 30; before++) {
      const world = await worldWith()
      world.storage.answers.shut()
      const append = new Call(world.append('a', 'x'))
      await world.settle()
      const poll = world.poll('a', 0)
      for (let i = 0; i < before; i++) await Promise.resolve()
      world.storage.answers.open()
      await world.settle()
      expect([before, inShort(append.result), pollInShort(poll)]).toEqual([before, 'appended', 'x'])
    }
  })

  it('R-177: a reader that starts to wait at any moment while an append becomes durable gets it', async () => {
    for (let before = 0; before <= 30; before++) {
      const world = await worldWith()
      world.storage.answers.shut()
      const append = new Call(world.append('a', 'x'))
      await world.settle()
      world.storage.answers.open()
      for (let i = 0; i < before; i++) await Promise.resolve()
      const poll = world.poll('a', 0)
      await world.settle()
      expect([before, inShort(append.result), pollInShort(poll)]).toEqual([before, 'appended', 'x'])
    }
  })

  it('R-177: every reader gets every append, in whatever order things happen', async () => {
    const moves = fc.constantFrom<Move>('append', 'read', 'turn', 'commit', 'answer', 'bytes', 'promises')
    await fc.assert(
      fc.asyncProperty(fc.array(moves, { maxLength: 60 }), async (script) => {
        const world = await worldWith('', { wakesPerTurn: 1 })
        const { commits, answers, reads } = world.storage
        const gates = [commits, answers, reads]
        for (const gate of gates) gate.shut()
        const readers = [new Reader(world), new Reader(world), new Reader(world)]
        for (const [at, move] of script.entries()) await make(world, readers, move, at)
        for (const gate of gates) gate.open()
        for (let round = 0; round < script.length + 2; round++) {
          await world.settle()
          for (const reader of readers) reader.go()
        }
        const appended = script.flatMap((move, at) => (move === 'append' ? `<${at}>` : [])).join('')
        expect(readers.map(({ text }) => text)).toEqual([appended, appended, appended])
        expect(inShort(await world.done(world.remove('a')))).toBe('deleted')
      }),
      { seed: 17, numRuns: 300 },
    )
  })
})
