import type { ForkPoint } from '@millrace/protocol'
import { describe, expect, it } from 'vitest'
import { loadOne } from './contract-stream.ts'
import { Call, inShort, path, World } from './engine-world.fixture.ts'
import { findForkPoint } from './fork-finder.ts'

async function worldWith(type: string, ...appends: readonly string[]): Promise<World> {
  const world = new World()
  await world.done(world.create('a', { type }))
  for (const append of appends) await world.done(world.append('a', append))
  return world
}

async function find(world: World, at: number | undefined, sub = 0, name = 'a'): Promise<ForkPoint> {
  const stored = await loadOne(world.storage, path(name))
  if (stored === undefined) throw new Error('no such stream')
  const forkAt = at === undefined ? undefined : { generation: 0, position: at }
  const request = { sourcePath: path(name), forkAt, subOffset: sub }
  return findForkPoint(world.storage, stored.state, request)
}

/** Where a fork's own bytes would begin; `no` if it is refused. */
async function place(world: World, at: number | undefined, sub = 0, name = 'a'): Promise<number | 'no'> {
  const point = await find(world, at, sub, name)
  return point.kind === 'found' ? point.ownFrom : 'no'
}

describe('the fork offset', () => {
  it('may be any position of bytes up to the tail, and is the tail if left out', async () => {
    const world = await worldWith('text/plain', 'abc', 'de')
    const places: (number | 'no')[] = []
    for (const at of [0, 1, 2, 3, 4, 5, 6, Number.POSITIVE_INFINITY, undefined])
      places.push(await place(world, at))
    expect(places).toEqual([0, 1, 2, 3, 4, 5, 'no', 'no', 5])
  })

  it('must be a boundary between JSON messages', async () => {
    const world = await worldWith('application/json', '[1,"x"]')
    const places: (number | 'no')[] = []
    for (let at = 0; at <= 9; at++) places.push(await place(world, at))
    expect(places).toEqual([0, 'no', 'no', 3, 'no', 'no', 'no', 'no', 8, 'no'])
  })

  it('costs no look at the bytes of a byte stream', async () => {
    const world = await worldWith('text/plain', 'abc')
    const before = world.storage.readRanges.length
    await find(world, 2)
    expect([world.storage.readRanges.length - before, world.storage.unitsAsked]).toEqual([0, 0])
  })

  it('an empty source has one place', async () => {
    const world = await worldWith('application/json')
    expect([await place(world, undefined), await place(world, 0), await place(world, 1)]).toEqual([
      0,
      0,
      'no',
    ])
  })
})

describe('the sub-offset', () => {
  it('R-258: R-262: R-263: counts bytes of one append, all of it at the most', async () => {
    const world = await worldWith('text/plain', 'abc', 'defgh')
    const found: string[] = []
    for (const at of [0, 3]) {
      for (let sub = 0; sub <= 6; sub++) found.push(`${at}+${sub} ${await place(world, at, sub)}`)
    }
    expect(found).toEqual([
      ...['0+0 0', '0+1 1', '0+2 2', '0+3 3', '0+4 no', '0+5 no', '0+6 no'],
      ...['3+0 3', '3+1 4', '3+2 5', '3+3 6', '3+4 7', '3+5 8', '3+6 no'],
    ])
  })

  it('R-259: R-262: R-263: counts messages of one append, all of them at the most', async () => {
    const world = await worldWith('application/json', '[1,22,333]', '["x","y"]')
    const found: (number | 'no')[] = []
    for (let sub = 0; sub <= 4; sub++) found.push(await place(world, 0, sub))
    for (let sub = 0; sub <= 3; sub++) found.push(await place(world, 12, sub))
    expect(found).toEqual([0, 3, 7, 12, 'no', 12, 17, 22, 'no'])
  })

  it('R-262: from inside an append reaches to its end', async () => {
    const world = await worldWith('text/plain', 'abcdef', 'ghi')
    expect([await place(world, 4, 2), await place(world, 4, 3)]).toEqual([6, 'no'])
    const json = await worldWith('application/json', '[1,2,3]', '[4]')
    expect([await place(json, 3, 2), await place(json, 3, 3)]).toEqual([9, 'no'])
  })

  it('R-265: has nothing to count at the tail or in an empty source', async () => {
    const world = await worldWith('text/plain', 'abc')
    const empty = await worldWith('text/plain')
    expect([await place(world, undefined, 1), await place(world, 3, 1), await place(empty, 0, 1)]).toEqual([
      'no',
      'no',
      'no',
    ])
  })

  it('R-272: composes over chains: an inherited part is an append of the fork', async () => {
    const world = await worldWith('text/plain', 'abcdef')
    await world.done(world.create('b', { fork: { from: 'a', at: 0, sub: 4 }, body: 'XY' }))
    await world.done(world.create('c', { fork: { from: 'b', at: 0, sub: 3 } }))
    const found: string[] = []
    for (const [name, at] of [
      ['b', 0],
      ['b', 4],
      ['c', 0],
    ] as const) {
      for (const sub of [2, 3, 4, 5]) found.push(`${name}@${at}+${sub} ${await place(world, at, sub, name)}`)
    }
    expect(found).toEqual([
      ...['b@0+2 2', 'b@0+3 3', 'b@0+4 4', 'b@0+5 no'],
      ...['b@4+2 6', 'b@4+3 no', 'b@4+4 no', 'b@4+5 no'],
      ...['c@0+2 2', 'c@0+3 3', 'c@0+4 no', 'c@0+5 no'],
    ])
    expect([await world.text('b'), await world.text('c')]).toEqual(['abcdXY', 'abc'])
  })

  it('R-272: composes over chains of JSON messages', async () => {
    const world = await worldWith('application/json', '[1,2,3]')
    await world.done(world.create('b', { fork: { from: 'a', at: 0, sub: 2 }, body: '[4,5]' }))
    await world.done(world.create('c', { fork: { from: 'b', at: 6, sub: 1 } }))
    await world.done(world.append('c', '6'))
    expect([await world.text('b'), await world.text('c')]).toEqual(['1,\n2,\n4,\n5,\n', '1,\n2,\n4,\n6,\n'])
    expect([await place(world, 0, 2, 'c'), await place(world, 0, 3, 'c')]).toEqual([6, 'no'])
  })

  it('R-268: what the fork appends comes after the part it took', async () => {
    const world = await worldWith('text/plain', 'abcdef')
    await world.done(world.create('b', { fork: { from: 'a', at: 0, sub: 2 }, body: '1' }))
    await world.done(world.append('b', '2'))
    expect(await world.text('b')).toBe('ab12')
  })
})

describe('in an engine', () => {
  it('R-255: a fork that is refused holds no reference', async () => {
    const world = await worldWith('application/json', '[1,2]')
    const refused = [
      { fork: { from: 'a', at: 7 } },
      { fork: { from: 'a', at: 1 } },
      { fork: { from: 'a', at: 0, sub: 3 } },
      { fork: { from: 'a', at: 6, sub: 1 } },
      { fork: { from: 'a', sub: 1 } },
      { fork: { from: 'a' }, type: 'text/plain' },
      { fork: { from: 'a' }, body: '[' },
    ]
    for (const creation of refused) {
      expect(inShort(await world.done(world.create('fork', creation)))).toMatch(/^rejected/)
    }
    await world.done(world.create('taken'))
    expect(inShort(await world.done(world.create('taken', { fork: { from: 'a' } })))).toMatch(/^rejected/)
    expect(await world.done(world.head('a'))).toMatchObject({ state: { refCount: 0 } })
    expect(inShort(await world.done(world.remove('a')))).toBe('deleted')
    expect(await loadOne(world.storage, path('a'))).toBe(undefined)
  })

  it('R-257: a fork that exists is found again, though its source moved on or went', async () => {
    const world = await worldWith('text/plain', 'abc')
    const fork = { fork: { from: 'a' } }
    expect(inShort(await world.done(world.create('fork', fork)))).toBe('created')
    await world.done(world.append('a', 'def'))
    expect(inShort(await world.done(world.create('fork', fork)))).toBe('exists')
    await world.done(world.remove('a'))
    expect(inShort(await world.done(world.create('fork', fork)))).toBe('exists')
  })

  it('a fork at the tail misses no append that was accepted before it', async () => {
    const world = await worldWith('text/plain', 'abc')
    world.storage.commits.shut()
    const calls = [
      world.append('a', 'def'),
      world.create('fork', { fork: { from: 'a' } }),
      world.append('a', 'ghi'),
    ]
    await world.settle()
    world.storage.commits.open()
    expect((await world.done(Promise.all(calls))).map(inShort)).toEqual(['appended', 'created', 'appended'])
    const text = await world.text('fork')
    expect(['abcdef', 'abcdefghi']).toContain(text)
    await world.done(world.append('fork', '!'))
    expect(await world.text('fork')).toBe(`${text}!`)
  })

  it('R-248: a source that is deleted while the fork is being prepared was not there', async () => {
    const world = await worldWith('application/json', '[1,2]')
    world.storage.reads.shut()
    const create = new Call(world.create('fork', { fork: { from: 'a', at: 0, sub: 1 } }))
    await world.settle()
    expect(inShort(await world.done(world.remove('a')))).toBe('deleted')
    world.storage.reads.open()
    await world.settle()
    expect([create.error, inShort(create.result)]).toEqual([undefined, 'rejected: fork-source-not-found'])
  })

  it('a source that is made anew while the fork is being prepared is looked at again', async () => {
    const world = await worldWith('text/plain', 'abcdef')
    world.storage.reads.shut()
    const create = new Call(world.create('fork', { fork: { from: 'a', at: 0, sub: 5 } }))
    await world.settle()
    await world.done(world.remove('a'))
    await world.done(world.create('a', { body: 'xyz' }))
    world.storage.reads.open()
    await world.settle()
    expect([create.error, inShort(create.result)]).toEqual([undefined, 'rejected: bad-request'])
  })
})
