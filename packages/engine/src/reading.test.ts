import { expect, it } from 'vitest'
import { World } from './engine-world.fixture.ts'

/** A reader at 10 and others that wait at the tail; the store has 20 bytes. */
async function worldWithReader(): Promise<World> {
  const world = new World({ limits: { chunkBytes: 10, maxSharedSliceBytes: 0 } })
  await world.done(world.create('a', { body: 'x'.repeat(20) }))
  await world.follow('a', 'now')
  world.storage.readRanges.length = 0
  return world
}

it('readers at the same place share the read that is under way', async () => {
  const world = await worldWithReader()
  world.storage.reads.shut()
  const both = Promise.all([world.read('a', 0), world.read('a', 0)])
  world.storage.reads.open()
  await world.done(both)

  expect(world.storage.readRanges.length).toBe(1)
})

it('a read that failed is made again by whoever comes next', async () => {
  const world = await worldWithReader()
  world.storage.script = {
    beforeRead: () => {
      throw new Error('bad sector')
    },
  }
  const failed = await world.done(world.read('a', 0).catch((error: unknown) => error))
  world.storage.script = {}
  const read = await world.done(world.read('a', 0))

  expect(String(failed)).toBe('Error: bad sector')
  expect(read.kind).toBe('slice')
})

it('a read that is over is held no longer: what is too large to be shared is read again', async () => {
  const world = await worldWithReader()
  await world.done(world.read('a', 0))
  await world.done(world.read('a', 0))

  expect(world.storage.readRanges.length).toBe(2)
})

it('a follower and a reader that catches up, at the same place, get as much as each of them wants', async () => {
  const world = new World({ limits: { chunkBytes: 20, followChunkBytes: 10 } })
  await world.done(world.create('a', { body: 'x'.repeat(30) }))
  const sink = await world.follow('a', 0)
  const caughtUp = await world.done(world.read('a', 0))
  const other = await world.follow('a', 0)
  const again = await world.done(world.read('a', 0))

  const ends = [caughtUp, again].map((result) => result.kind === 'slice' && result.slice.to)
  expect(ends).toEqual([20, 20])
  expect([sink, other].map(({ places }) => places)).toEqual([sink.places, sink.places])
  expect(sink.places[0]).toEqual([0, 10])
})
