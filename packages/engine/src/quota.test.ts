import type { Outcome } from '@millrace/protocol'
import { describe, expect, it } from 'vitest'
import { inShort, World } from './engine-world.fixture.ts'
import { countUsage } from './quota.ts'

/** How each of these ended, one after the other. */
async function outcomes(
  world: World,
  calls: readonly (() => Promise<Outcome>)[],
): Promise<readonly string[]> {
  const ended: string[] = []
  for (const call of calls) ended.push(inShort(await world.done(call())))
  return ended
}

describe('the bytes of a stream', () => {
  it('are full to the byte, and refused beyond it without a change', async () => {
    const world = new World({ limits: { maxStreamBytes: 5 } })
    const done = await outcomes(world, [
      () => world.create('a', { body: 'abc' }),
      () => world.append('a', 'def'),
      () => world.append('a', 'de'),
      () => world.append('a', 'f'),
      () => world.create('b', { body: 'abcdef' }),
    ])
    expect(done).toEqual([
      'created',
      'rejected: stream-too-large',
      'appended',
      'rejected: stream-too-large',
      'rejected: stream-too-large',
    ])
    expect(await world.text('a')).toBe('abcde')
    expect(await world.text('b')).toBe('<not-found>')
  })

  it('are its own: what a fork inherits does not count', async () => {
    const world = new World({ limits: { maxStreamBytes: 5 } })
    await outcomes(world, [
      () => world.create('a', { body: 'abcde' }),
      () => world.create('fork', { fork: { from: 'a' } }),
    ])
    expect(
      await outcomes(world, [() => world.append('fork', '12345'), () => world.append('fork', '6')]),
    ).toEqual(['appended', 'rejected: stream-too-large'])
    expect(await world.text('fork')).toBe('abcde12345')
  })

  it('let a full stream be closed, and a repeated append be answered', async () => {
    const world = new World({ limits: { maxStreamBytes: 3 } })
    const producer = ['p', 0, 0] as const
    await world.done(world.create('a'))
    expect(
      await outcomes(world, [
        () => world.append('a', 'abc', { producer }),
        () => world.append('a', 'abc', { producer }),
        () => world.close('a'),
      ]),
    ).toEqual(['appended', 'duplicate', 'closed'])
  })
})

describe('the producers of a stream', () => {
  it('are remembered up to the limit', async () => {
    const world = new World({ limits: { maxProducersPerStream: 2 } })
    await world.done(world.create('a'))
    const write = (id: string) => () => world.append('a', 'x', { producer: [id, 0, 0] })
    const done = await outcomes(world, [write('p'), write('q'), write('r')])
    expect(done).toEqual(['appended', 'appended', 'rejected: too-many-producers'])
  })
})

describe('the number of streams', () => {
  it('is kept to; deletions make room, also of what is kept for a fork', async () => {
    const world = new World({ limits: { maxStreams: 2 } })
    const done = await outcomes(world, [
      () => world.create('a', { body: 'x' }),
      () => world.create('fork', { fork: { from: 'a' } }),
      () => world.create('b'),
      () => world.create('a', { body: 'x' }),
      () => world.remove('a'),
      () => world.create('b'),
      () => world.create('c'),
      () => world.remove('fork'),
      () => world.create('c'),
      () => world.create('d'),
    ])
    expect(done.filter((_, index) => [2, 6, 9].includes(index))).toEqual(Array(3).fill('rejected: no-room'))
    expect(done.filter((one) => one.startsWith('rejected'))).toHaveLength(3)
  })

  it('holds for many that are created at once', async () => {
    const world = new World({ limits: { maxStreams: 3 } })
    world.storage.commits.shut()
    const calls = Array.from({ length: 10 }, (_, index) => world.create(`s${index}`))
    await world.settle()
    world.storage.commits.open()
    const done = (await world.done(Promise.all(calls))).map(inShort)
    expect(done.filter((one) => one.startsWith('created'))).toHaveLength(3)
    expect(await countUsage(world.storage)).toEqual({ streams: 3, bytes: 0 })
  })
})

describe('the bytes of all streams', () => {
  it('are full to the byte, deletions and expiry make room', async () => {
    const world = new World({ limits: { maxTotalBytes: 10 }, sweepIntervalMs: 1000 })
    const done = await outcomes(world, [
      () => world.create('a', { body: '12345', expiry: { kind: 'ttl', ttlSeconds: 10 } }),
      () => world.create('b', { body: '12345' }),
      () => world.append('a', '6'),
      () => world.close('b'),
      () => world.remove('b'),
      () => world.append('a', '67890'),
      () => world.create('b', { body: '1' }),
      () => world.create('b'),
    ])
    expect(done).toEqual([
      'created',
      'created',
      'rejected: no-room',
      'closed',
      'deleted',
      'appended',
      'rejected: no-room',
      'created',
    ])
    await world.pass(20_000)
    expect(
      await outcomes(world, [() => world.append('b', '1234567890'), () => world.append('b', '1')]),
    ).toEqual(['appended', 'rejected: no-room'])
  })

  it('are given back by what the store did not take', async () => {
    let refusals = 1
    const world = new World({
      limits: { maxTotalBytes: 5 },
      fateOf: ({ changes }) => (changes[0]?.payload && refusals-- > 0 ? 'full' : 'apply'),
    })
    const done = await outcomes(world, [
      () => world.create('a'),
      () => world.append('a', '12345'),
      () => world.append('a', '12345'),
      () => world.append('a', '6'),
    ])
    expect(done.slice(1)).toEqual(['rejected: no-room', 'appended', 'rejected: no-room'])
    expect(await world.text('a')).toBe('12345')
  })
})

describe('what is counted at the start', () => {
  it('is what streams hold themselves, page by page, without what is kept for forks', async () => {
    const world = new World()
    await outcomes(world, [
      () => world.create('a', { body: '123' }),
      () => world.create('fork', { fork: { from: 'a' } }),
      () => world.append('fork', '45'),
      () => world.create('b', { body: '6' }),
      () => world.remove('a'),
    ])
    expect(await countUsage(world.storage)).toEqual({ streams: 2, bytes: 3 })
  })
})
