import { describe, expect, it } from 'vitest'
import { ContractStream, commitAll, loadOne } from './contract-stream.ts'
import { Call, inShort, path, pollInShort, World, type WorldOptions } from './engine-world.fixture.ts'
import type { CommitFate } from './scripted-storage.fixture.ts'

/** A world on a store that other processes write to as well; the stream `a` exists. */
async function worldOf(options: WorldOptions = {}): Promise<World> {
  const world = new World({ traits: { sharedBetweenProcesses: true }, ...options })
  await world.done(world.create('a'))
  return world
}

/** Another process's view of a stream, behind the back of the engine. */
async function otherWriter(world: World, name: string): Promise<ContractStream> {
  const stored = await loadOne(world.storage.inner, path(name))
  const stream = new ContractStream(name, stored?.state.id)
  stream.state = stored?.state
  stream.version = stored?.version ?? 0
  return stream
}

async function writeElsewhere(world: World, name: string, content: string): Promise<void> {
  await commitAll(world.storage.inner, (await otherWriter(world, name)).write(content))
}

/** Fates for the next commits that carry bytes, one each; after that everything applies. */
function fates(world: World, ...next: CommitFate[]): void {
  const fateOf: WorldOptions['fateOf'] = ({ changes }) =>
    (changes[0]?.payload ? next.shift() : undefined) ?? 'apply'
  world.storage.script = { ...world.storage.script, fateOf }
}

describe('a conflict', () => {
  it('the command is decided again on what the other writer left', async () => {
    const world = await worldOf()
    await writeElsewhere(world, 'a', 'other,')
    expect(await world.done(world.append('a', 'mine'))).toMatchObject({ kind: 'appended', tail: 10 })
    expect(await world.text('a')).toBe('other,mine')
  })

  it('the answer may be another one then', async () => {
    const world = await worldOf()
    const other = await otherWriter(world, 'a')
    await commitAll(world.storage.inner, other.append({ closes: true }))
    expect(inShort(await world.done(world.append('a', 'mine')))).toBe('rejected: stream-closed')
  })

  it('a stream that was made anew elsewhere is another stream', async () => {
    const world = await worldOf()
    const other = await otherWriter(world, 'a')
    const again = new ContractStream('a', 'made-anew')
    await commitAll(world.storage.inner, other.note('purged'), again.create({ contentType: 'text/plain' }))
    expect(inShort(await world.done(world.append('a', 'mine')))).toBe('appended')
    expect(await world.done(world.head('a'))).toMatchObject({ state: { id: 'made-anew', tail: 4 } })
    expect(await world.text('a')).toBe('mine')
  })

  it('two PUTs of two processes make one stream', async () => {
    const world = await worldOf()
    world.storage.loads.shut()
    world.storage.commits.shut()
    const create = new Call(world.create('b'))
    await world.settle()
    world.storage.loads.open()
    await world.settle()
    await commitAll(world.storage.inner, new ContractStream('b').create({ contentType: 'text/plain' }))
    world.storage.commits.open()
    await world.settle()
    expect(inShort(create.result)).toBe('exists')
  })

  it('is tried again so many times, and then the server is busy', async () => {
    const world = await worldOf({ limits: { maxAttempts: 5 } })
    world.storage.script = { fateOf: () => 'conflict' }
    const before = world.storage.batches.length
    expect(inShort(await world.done(world.append('a', 'x')))).toBe('rejected: busy')
    expect(world.storage.batches.length - before).toBe(5)
    world.storage.script = {}
    fates(world, 'conflict', 'conflict', 'conflict', 'conflict')
    expect(inShort(await world.done(world.append('a', 'x')))).toBe('appended')
  })

  it('appends gathered in one batch on top of an outdated state all land after the other writer', async () => {
    for (const writes of [1, 2, 3]) {
      const world = await worldOf()
      for (let i = 0; i < writes; i++) await writeElsewhere(world, 'a', 'other,')
      const calls = ['1', '22', '333', '4444'].map((content) => world.append('a', content))
      const outcomes = await world.done(Promise.all(calls))
      expect(outcomes.map(inShort)).toEqual(['appended', 'appended', 'appended', 'appended'])
      expect((await world.text('a')).length).toBe(6 * writes + 10)
      expect([...(await world.text('a')).slice(6 * writes)].sort().join('')).toBe('1223334444')
    }
  })

  it('appends of later batches on top of an outdated state all land after the other writer', async () => {
    for (const writes of [1, 2]) {
      const world = await worldOf()
      world.storage.commits.shut()
      const first = new Call(world.append('a', 'first,'))
      await world.settle()
      const second = new Call(world.append('a', 'second,'))
      for (let i = 0; i < writes; i++) await writeElsewhere(world, 'a', 'other,')
      await world.settle()
      world.storage.commits.open()
      await world.settle()
      expect([first, second].map(({ result }) => inShort(result))).toEqual(['appended', 'appended'])
      const text = await world.text('a')
      expect(text.split(',').sort()).toEqual(['', 'first', ...Array(writes).fill('other'), 'second'])
      expect(text.startsWith('other,'.repeat(writes))).toBe(true)
    }
  })

  it('appends of one producer on top of an outdated state stay in order', async () => {
    const world = await worldOf()
    await writeElsewhere(world, 'a', 'other,')
    const calls = [0, 1, 2, 3].map((seq) => world.append('a', `${seq}`, { producer: ['p', 0, seq] }))
    const outcomes = await world.done(Promise.all(calls))
    expect(outcomes.map(inShort)).toEqual(['appended', 'appended', 'appended', 'appended'])
    expect(await world.text('a')).toBe('other,0123')
  })

  it('appends of one producer in one batch and the next stay in order', async () => {
    const world = await worldOf()
    world.storage.commits.shut()
    const calls = [0, 1].map((seq) => new Call(world.append('a', `${seq}`, { producer: ['p', 0, seq] })))
    await world.settle()
    calls.push(...[2, 3].map((seq) => new Call(world.append('a', `${seq}`, { producer: ['p', 0, seq] }))))
    await world.settle()
    await writeElsewhere(world, 'a', 'other,')
    world.storage.commits.open()
    await world.settle()
    expect(calls.map(({ result }) => inShort(result))).toEqual(Array(4).fill('appended'))
    expect(await world.text('a')).toBe('other,0123')
  })

  it('readers that wait are told what the other writer left, once it is known here', async () => {
    const world = await worldOf()
    const poll = world.poll('a', 0)
    const sink = await world.follow('a', 0)
    await writeElsewhere(world, 'a', 'other')
    fates(world, 'apply', 'full')
    expect(inShort(await world.done(world.append('a', 'mine')))).toBe('rejected: no-room')
    await world.settle()
    expect([pollInShort(poll), sink.text]).toEqual(['other', 'other'])
  })
})

describe('an unknown outcome', () => {
  it('a producer finds out that the append counted', async () => {
    const world = await worldOf()
    fates(world, 'kept')
    const outcome = await world.done(world.append('a', 'x', { producer: ['p', 0, 0] }))
    expect(outcome).toMatchObject({ kind: 'duplicate', tail: 1, producer: { epoch: 0, seq: 0 } })
    expect(await world.text('a')).toBe('x')
  })

  it('a producer finds out that it did not, and the append is made', async () => {
    const world = await worldOf()
    fates(world, 'lost', 'lost')
    expect(inShort(await world.done(world.append('a', 'x', { producer: ['p', 0, 0] })))).toBe('appended')
    expect(await world.text('a')).toBe('x')
  })

  it('a plain append is told that nobody knows', async () => {
    for (const fate of ['kept', 'lost'] as const) {
      const world = await worldOf()
      fates(world, fate)
      await expect(world.done(world.append('a', 'x'))).rejects.toMatchObject({ code: 'unknown-outcome' })
      expect(inShort(await world.done(world.append('a', 'y')))).toBe('appended')
      expect(await world.text('a')).toBe(fate === 'kept' ? 'xy' : 'y')
    }
  })

  it('a deletion is told that nobody knows, a creation finds out', async () => {
    const world = await worldOf()
    world.storage.script = { fateOf: ({ changes }) => (changes[0]?.next === undefined ? 'kept' : 'apply') }
    await expect(world.done(world.remove('a'))).rejects.toMatchObject({ code: 'unknown-outcome' })
    expect(await world.done(world.head('a'))).toMatchObject({ rejection: { kind: 'not-found' } })
    fates(world, 'kept', 'lost')
    expect(inShort(await world.done(world.create('b', { body: 'b' })))).toBe('exists')
    expect(inShort(await world.done(world.create('c', { body: 'c' })))).toBe('created')
  })

  it('an append that counted is not made again on the successor of its stream', async () => {
    const world = await worldOf()
    fates(world, 'kept')
    world.storage.answers.shut()
    const append = new Call(world.append('a', 'once', { producer: ['p', 0, 0] }))
    await world.settle()
    const other = await otherWriter(world, 'a')
    const successor = new ContractStream('a', 'successor')
    await commitAll(
      world.storage.inner,
      other.note('purged'),
      successor.create({ contentType: 'text/plain' }),
    )
    world.storage.answers.open()
    await world.settle()
    expect(append.isDone).toBe(true)
    expect(append.error).toMatchObject({ code: 'unknown-outcome' })
    expect(await world.text('a')).toBe('')
  })

  it('a creation never makes two streams with one id', async () => {
    const world = await worldOf()
    fates(world, 'kept')
    const made: unknown[] = []
    const { fateOf } = world.storage.script
    world.storage.script = {
      fateOf: (commit, index) => {
        made.push(...commit.changes.filter(({ version }) => version === 0).map(({ id }) => id))
        return fateOf?.(commit, index) ?? 'apply'
      },
    }
    world.storage.commits.shut()
    const create = new Call(world.create('b', { body: 'b', id: 'drawn-once' }))
    await world.settle()
    world.storage.answers.shut()
    world.storage.commits.open()
    await world.settle()
    const other = await otherWriter(world, 'b')
    await commitAll(world.storage.inner, other.note('purged'))
    world.storage.answers.open()
    await world.settle()
    expect(create.isDone).toBe(true)
    expect(made.filter((id) => id === 'drawn-once').length).toBe(1)
  })

  it('is looked into so many times, and then the server is busy', async () => {
    const world = await worldOf({ limits: { maxAttempts: 4 } })
    fates(world, ...Array<CommitFate>(4).fill('lost'))
    expect(inShort(await world.done(world.append('a', 'x', { producer: ['p', 0, 0] })))).toBe(
      'rejected: busy',
    )
    expect(inShort(await world.done(world.append('a', 'x', { producer: ['p', 0, 0] })))).toBe('appended')
  })

  it('readers that wait get an append that turns out to have counted', async () => {
    const world = await worldOf()
    const poll = world.poll('a', 0)
    const sink = await world.follow('a', 0)
    fates(world, 'kept')
    await world.done(world.append('a', 'x', { producer: ['p', 0, 0] }))
    await world.settle()
    expect([pollInShort(poll), sink.text]).toEqual(['x', 'x'])
  })

  it('what rests on it is decided again, and nothing counts twice', async () => {
    for (const fate of ['kept', 'lost'] as const) {
      const world = await worldOf()
      fates(world, fate)
      const calls = [0, 1, 2].map((seq) => world.append('a', `${seq}`, { producer: ['p', 0, seq] }))
      const outcomes = await world.done(Promise.all(calls))
      expect(outcomes.map(inShort).filter((kind) => kind !== 'appended' && kind !== 'duplicate')).toEqual([])
      expect(await world.text('a')).toBe('012')
    }
  })

  it('what rests on it is decided again in its order, in one batch or several', async () => {
    for (const fate of ['kept', 'lost'] as const) {
      const world = await worldOf()
      fates(world, fate)
      world.storage.commits.shut()
      const calls = [0, 1].map((seq) => new Call(world.append('a', `${seq}`, { producer: ['p', 0, seq] })))
      await world.settle()
      calls.push(...[2, 3].map((seq) => new Call(world.append('a', `${seq}`, { producer: ['p', 0, seq] }))))
      await world.settle()
      world.storage.commits.open()
      await world.settle()
      const first = fate === 'kept' ? 'duplicate' : 'appended'
      expect(calls.map(({ result }) => inShort(result))).toEqual([first, 'appended', 'appended', 'appended'])
      expect(await world.text('a')).toBe('0123')
    }
  })

  it('loads nothing older than what is on its way', async () => {
    const world = await worldOf()
    fates(world, 'kept')
    world.storage.commits.shut()
    const first = new Call(world.append('a', '0', { producer: ['p', 0, 0] }))
    await world.settle()
    const second = new Call(world.append('a', '1', { producer: ['p', 0, 1] }))
    await world.settle()
    // The first is settled and its command loads, while the second is in the store's hands.
    world.storage.commits.letGo()
    await world.settle()
    world.storage.commits.open()
    await world.settle()
    const third = new Call(world.append('a', '2', { producer: ['p', 0, 2] }))
    await world.settle()
    expect([first, second, third].map(({ result }) => inShort(result))).toEqual([
      'duplicate',
      'appended',
      'appended',
    ])
    expect(await world.text('a')).toBe('012')
  })

  it('readers never see the tail move back', async () => {
    const world = await worldOf()
    fates(world, 'kept')
    world.storage.commits.shut()
    const first = new Call(world.append('a', '0', { producer: ['p', 0, 0] }))
    await world.settle()
    const second = new Call(world.append('a', '1'))
    await world.settle()
    world.storage.loads.shut()
    world.storage.commits.letGo()
    await world.settle()
    world.storage.loads.open()
    await world.settle()
    world.storage.commits.open()
    await world.settle()
    expect([first, second].map(({ result }) => inShort(result))).toEqual(['duplicate', 'appended'])
    expect(await world.done(world.head('a'))).toMatchObject({ state: { tail: 2 } })
  })
})
