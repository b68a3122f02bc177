import { describe, expect, it } from 'vitest'
import { loadOne } from './contract-stream.ts'
import { Call, inShort, path, pollInShort, World } from './engine-world.fixture.ts'

const count = (outcomes: readonly { readonly kind: string }[], kind: string): number =>
  outcomes.filter((outcome) => outcome.kind === kind).length

function tails(outcomes: readonly object[]): readonly unknown[] {
  return outcomes.map((outcome) => ('tail' in outcome ? outcome.tail : undefined))
}

/** A world whose stream `a` exists and whose further commits are held back. */
async function heldWorld(): Promise<World> {
  const world = new World()
  await world.done(world.create('a'))
  world.storage.commits.shut()
  return world
}

describe('many at once', () => {
  it('R-088: keeps every append exactly once, in the order they came', async () => {
    const world = new World()
    await world.done(world.create('a'))
    const contents = Array.from({ length: 200 }, (_, at) => `<${at}>`)
    const outcomes = await world.done(Promise.all(contents.map((content) => world.append('a', content))))
    expect(count(outcomes, 'appended')).toBe(200)
    expect(await world.text('a')).toBe(contents.join(''))
    let tail = 0
    expect(tails(outcomes)).toEqual(contents.map(({ length }) => (tail += length)))
  })

  it('R-084: accepts exactly one of several appends with the same Stream-Seq', async () => {
    const world = new World()
    await world.done(world.create('a'))
    const calls = Array.from({ length: 10 }, (_, at) => world.append('a', `<${at}>`, { seq: '7' }))
    const outcomes = (await world.done(Promise.all(calls))).map(inShort)
    expect(outcomes).toEqual(['appended', ...Array(9).fill('rejected: stream-seq-conflict')])
    expect(await world.text('a')).toBe('<0>')
  })

  it('R-111: judges the appends of a producer one after the other, though they come together', async () => {
    const world = await heldWorld()
    const seqs = [0, 1, 1, 2, 0, 4, 3, 3, 4]
    const calls = seqs.map((seq, at) => world.append('a', `<${at}:${seq}>`, { producer: ['p', 0, seq] }))
    await world.settle()
    world.storage.commits.open()
    expect((await world.done(Promise.all(calls))).map(inShort)).toEqual([
      'appended',
      'appended',
      'duplicate',
      'appended',
      'duplicate',
      'rejected: producer-gap',
      'appended',
      'duplicate',
      'appended',
    ])
    expect(await world.text('a')).toBe('<0:0><1:1><3:2><6:3><8:4>')
  })

  it('R-068: creates a stream for exactly one of several PUTs', async () => {
    for (const isLoaded of [true, false]) {
      const world = new World()
      if (!isLoaded) world.storage.loads.shut()
      const calls = Array.from({ length: 8 }, (_, at) => world.create('a', { body: `<${at}>` }))
      await world.settle()
      world.storage.loads.open()
      const outcomes = (await world.done(Promise.all(calls))).map(inShort)
      expect(outcomes).toEqual(['created', ...Array(7).fill('exists')])
      expect(await world.text('a')).toBe('<0>')
    }
  })

  it('R-068: PUTs with other configurations lose', async () => {
    const world = new World()
    const calls = ['text/plain', 'text/html', 'text/plain'].map((type) => world.create('a', { type }))
    const outcomes = (await world.done(Promise.all(calls))).map(inShort)
    expect(outcomes).toEqual(['created', 'rejected: already-exists', 'exists'])
  })

  it('a close that comes while four appends are on their way stays closed', async () => {
    const world = await heldWorld()
    const appends = ['1', '2', '3', '4'].map((content) => world.append('a', content))
    const close = world.close('a')
    const late = new Call(world.append('a', 'late'))
    await world.settle()
    world.storage.commits.open()
    expect((await world.done(Promise.all([...appends, close]))).map(inShort)).toEqual([
      'appended',
      'appended',
      'appended',
      'appended',
      'closed',
    ])
    expect(inShort(late.result)).toBe('rejected: stream-closed')
    expect(inShort(await world.done(world.append('a', 'later')))).toBe('rejected: stream-closed')
    expect(await world.done(world.head('a'))).toMatchObject({ state: { closed: true, tail: 4 } })
    expect(await world.text('a')).toBe('1234')
  })
})

describe('one commit', () => {
  it('R-112: bytes, producer, Stream-Seq and closure are one change of one commit', async () => {
    const world = await heldWorld()
    const call = new Call(world.append('a', 'all', { closes: true, producer: ['p', 2, 0], seq: 's' }))
    await world.settle()
    expect(await loadOne(world.storage.inner, path('a'))).toMatchObject({ version: 1 })
    world.storage.commits.open()
    await world.settle()
    const stored = await loadOne(world.storage.inner, path('a'))
    expect(inShort(call.result)).toBe('appended')
    expect(stored).toMatchObject({ version: 2, state: { tail: 3, closed: true, streamSeq: 's' } })
    expect(stored?.state.closedBy).toEqual({ id: 'p', epoch: 2, seq: 0 })
    expect(stored?.state.producers.get('p')).toMatchObject({ epoch: 2, lastSeq: 0 })
  })

  it('R-112: of a commit that failed nothing is left, so the producer may send it again', async () => {
    let isFull = true
    const world = new World({ fateOf: ({ changes }) => (isFull && changes[0]?.payload ? 'full' : 'apply') })
    await world.done(world.create('a'))
    const send = () => world.done(world.append('a', 'x', { producer: ['p', 0, 0], seq: '1', closes: true }))
    expect(inShort(await send())).toBe('rejected: no-room')
    expect(await world.done(world.head('a'))).toMatchObject({
      state: { closed: false, streamSeq: undefined, tail: 0 },
    })
    isFull = false
    expect(inShort(await send())).toBe('appended')
  })
})

describe('answers wait for what they rest on', () => {
  it('nothing on its way is seen by readers', async () => {
    const world = await heldWorld()
    const call = new Call(world.append('a', 'x', { closes: true }))
    await world.settle()
    expect(await world.text('a')).toBe('')
    expect(await world.done(world.head('a'))).toMatchObject({ state: { tail: 0, closed: false } })
    expect(call.isDone).toBe(false)
    world.storage.commits.open()
    await world.settle()
    expect(await world.text('a')).toBe('x')
  })

  it('an append is answered when the store has answered, not when it has stored', async () => {
    const world = await heldWorld()
    world.storage.answers.shut()
    const call = new Call(world.append('a', 'x'))
    world.storage.commits.open()
    await world.settle()
    expect(call.isDone).toBe(false)
    world.storage.answers.open()
    await world.settle()
    expect(inShort(call.result)).toBe('appended')
  })

  it('a duplicate succeeds with the append that it repeats', async () => {
    const world = await heldWorld()
    const first = new Call(world.append('a', 'x', { producer: ['p', 0, 0] }))
    const again = new Call(world.append('a', 'x', { producer: ['p', 0, 0] }))
    await world.settle()
    expect([first.isDone, again.isDone]).toEqual([false, false])
    world.storage.commits.open()
    await world.settle()
    expect([first, again].map(({ result }) => inShort(result))).toEqual(['appended', 'duplicate'])
  })

  it('a duplicate fails with the append that it repeats', async () => {
    const world = await heldWorld()
    world.storage.script = {
      fateOf: () => {
        throw new Error('disk')
      },
    }
    const first = new Call(world.append('a', 'x', { producer: ['p', 0, 0] }))
    const again = new Call(world.append('a', 'x', { producer: ['p', 0, 0] }))
    await world.settle()
    world.storage.commits.open()
    await world.settle()
    expect([first.error, again.error]).toMatchObject([{ code: 'storage' }, { code: 'storage' }])
    world.storage.script = {}
    expect(inShort(await world.done(world.append('a', 'x', { producer: ['p', 0, 0] })))).toBe('appended')
    expect(await world.text('a')).toBe('x')
  })

  it('a rejection stands with the commit that it rests on', async () => {
    const world = await heldWorld()
    const close = new Call(world.close('a'))
    const append = new Call(world.append('a', 'x'))
    await world.settle()
    expect(append.isDone).toBe(false)
    world.storage.commits.open()
    await world.settle()
    expect([close, append].map(({ result }) => inShort(result))).toEqual([
      'closed',
      'rejected: stream-closed',
    ])
  })

  it('a rejection is judged again if the commit that it rests on did not happen', async () => {
    const world = await heldWorld()
    world.storage.script = { fateOf: ({ changes }) => (changes[0]?.next?.closed ? 'full' : 'apply') }
    const close = new Call(world.close('a'))
    const append = new Call(world.append('a', 'x'))
    await world.settle()
    world.storage.commits.open()
    await world.settle()
    expect([close, append].map(({ result }) => inShort(result))).toEqual(['rejected: no-room', 'appended'])
    expect(await world.text('a')).toBe('x')
  })

  it('a creation that finds the stream waits for its creation', async () => {
    const world = new World()
    world.storage.commits.shut()
    const first = new Call(world.create('a'))
    const again = new Call(world.create('a'))
    await world.settle()
    expect([first.isDone, again.isDone]).toEqual([false, false])
    world.storage.commits.open()
    await world.settle()
    expect([first, again].map(({ result }) => inShort(result))).toEqual(['created', 'exists'])
  })

  it('R-255: a fork refused because its source is being deleted is made if the deletion did not happen', async () => {
    const world = new World()
    await world.done(world.create('source', { body: 'abc' }))
    await world.done(world.create('keeper', { fork: { from: 'source' } }))
    await world.done(world.create('fork'))
    world.storage.script = { fateOf: ({ changes }) => (changes[0]?.next?.softDeleted ? 'full' : 'apply') }
    world.storage.commits.shut()
    const removeFork = new Call(world.remove('fork'))
    const removeSource = new Call(world.remove('source'))
    await world.settle()
    const create = new Call(world.create('fork', { fork: { from: 'source', at: 3 } }))
    await world.settle()
    world.storage.commits.open()
    await world.settle()
    expect([removeFork, removeSource, create].map(({ result }) => inShort(result))).toEqual([
      'deleted',
      'rejected: no-room',
      'created',
    ])
    expect(await world.done(world.head('source'))).toMatchObject({ state: { refCount: 2 } })
  })
})

describe('answers that rest on several commits', () => {
  it('wait for all of them, whichever is settled first', async () => {
    const world = new World()
    await world.done(world.create('source', { body: 'abc' }))
    await world.done(world.create('keeper', { fork: { from: 'source' } }))
    await world.done(world.create('fork', { type: 'text/html' }))
    world.storage.script = { fateOf: ({ changes }) => (changes[0]?.next?.softDeleted ? 'full' : 'apply') }
    world.storage.reads.shut()
    world.storage.commits.shut()
    const create = new Call(world.create('fork', { fork: { from: 'source', at: 0, sub: 2 } }))
    await world.settle()
    const removals = [new Call(world.remove('fork')), new Call(world.remove('source'))]
    await world.settle()
    world.storage.reads.open()
    await world.settle()
    expect(create.isDone).toBe(false)
    world.storage.commits.open()
    await world.settle()
    expect([...removals, create].map(({ result }) => inShort(result))).toEqual([
      'deleted',
      'rejected: no-room',
      'created',
    ])
    expect(await world.text('fork')).toBe('ab')
  })
})

describe('no room', () => {
  it('changes nothing, and what was decided on top of it is decided again', async () => {
    const world = await heldWorld()
    world.storage.script = {
      fateOf: ({ changes }) => ((changes[0]?.payload?.length ?? 0) > 3 ? 'full' : 'apply'),
    }
    const calls = [
      new Call(world.append('a', '1')),
      new Call(world.append('a', 'too long', { seq: 'b', producer: ['p', 0, 0] })),
      new Call(world.append('a', '2', { seq: 'a' })),
      new Call(world.append('a', '3', { producer: ['p', 0, 1] })),
      new Call(world.append('a', '4')),
    ]
    await world.settle()
    world.storage.commits.open()
    await world.settle()
    // Stream-Seq a was too late only as long as b was on its way, and seq 1 was in order only as long as seq 0 was.
    expect(calls.map(({ result }) => inShort(result))).toEqual([
      'appended',
      'rejected: no-room',
      'appended',
      'rejected: producer-gap',
      'appended',
    ])
    expect([...(await world.text('a'))].sort().join('')).toBe('124')
  })

  it('a close that was decided on top of it closes all the same', async () => {
    const world = await heldWorld()
    world.storage.script = { fateOf: ({ changes }) => (changes[0]?.payload ? 'full' : 'apply') }
    const calls = [new Call(world.append('a', 'x')), new Call(world.close('a'))]
    await world.settle()
    world.storage.commits.open()
    await world.settle()
    expect(calls.map(({ result }) => inShort(result))).toEqual(['rejected: no-room', 'closed'])
    expect(await world.done(world.head('a'))).toMatchObject({ state: { closed: true, tail: 0 } })
  })

  it('a deletion makes room', async () => {
    const world = new World({ synchronous: true })
    await world.create('a', { body: 'x'.repeat(100) })
    world.storage.script = {
      synchronous: true,
      fateOf: ({ changes }) => (changes[0]?.payload ? 'full' : 'apply'),
    }
    expect(inShort(await world.append('a', 'more'))).toBe('rejected: no-room')
    expect(inShort(await world.create('b', { body: 'x' }))).toBe('rejected: no-room')
    expect(inShort(await world.create('b'))).toBe('created')
    expect(inShort(await world.remove('a'))).toBe('deleted')
  })

  it('leaves readers where they are', async () => {
    const world = await heldWorld()
    world.storage.script = { fateOf: () => 'full' }
    const poll = world.poll('a', 0)
    const call = new Call(world.append('a', 'x'))
    world.storage.commits.open()
    await world.settle()
    expect([inShort(call.result), pollInShort(poll)]).toEqual(['rejected: no-room', 'waits'])
  })
})
