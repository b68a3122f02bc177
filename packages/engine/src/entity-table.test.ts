import { describe, expect, it } from 'vitest'
import { ContractStream, commitAll, pathOf } from './contract-stream.ts'
import { ttl, World } from './engine-world.fixture.ts'
import type { Entity } from './entity.ts'
import { EntityTable } from './entity-table.ts'
import { promisesSettled } from './manual-clock.fixture.ts'
import { ScriptedStorage } from './scripted-storage.fixture.ts'

async function storeOf(...names: string[]): Promise<ScriptedStorage> {
  const storage = new ScriptedStorage()
  await commitAll(storage, ...names.map((name) => new ContractStream(name).create()))
  return storage
}

function tableOn(
  storage: ScriptedStorage,
  maxIdle = 10,
  onLoaded = (_: Entity): void => undefined,
): EntityTable {
  return new EntityTable(storage, maxIdle, onLoaded)
}

describe('loading', () => {
  it('gives everybody the same entry, and loads it once', async () => {
    const storage = await storeOf('a')
    const table = tableOn(storage)
    const first = table.pin(pathOf('a'))
    const second = table.pin(pathOf('a'))
    expect(second).toBe(first)
    await Promise.all([table.load([first]), table.load([second])])
    expect(storage.loaded).toEqual(['a'])
    expect(table.load([first])).toBe(undefined)
    expect(first.durable?.path).toBe('a')
  })

  it('lets those who wait for a load go on in the order they came', async () => {
    const storage = await storeOf('a')
    const table = tableOn(storage)
    storage.loads.shut()
    const order: number[] = []
    for (const name of [0, 1, 2, 3]) {
      const entity = table.pin(pathOf('a'))
      table.load([entity])?.then(() => order.push(name))
    }
    storage.loads.open()
    await promisesSettled()
    expect(order).toEqual([0, 1, 2, 3])
  })

  it('tells of each load when the state is in place', async () => {
    const storage = await storeOf('a')
    const told: unknown[] = []
    const table = tableOn(storage, 10, ({ path, durable }) => told.push([path, durable?.path]))
    await table.load(['a', 'b'].map((name) => table.pin(pathOf(name))))
    expect(told).toEqual([
      ['a', 'a'],
      ['b', undefined],
    ])
  })

  it('tries again after a load that failed', async () => {
    let isBroken = true
    const storage = new ScriptedStorage({
      beforeLoad: () => {
        if (isBroken) throw new Error('disk')
      },
    })
    const table = tableOn(storage)
    const entity = table.pin(pathOf('a'))
    await expect(table.load([entity])).rejects.toThrow('disk')
    isBroken = false
    await table.load([entity])
    expect(entity.loaded).toBe(true)
  })

  it('loads what is missing of several', async () => {
    const storage = await storeOf('a', 'b', 'c')
    const table = tableOn(storage)
    const [a, b, c] = ['a', 'b', 'c'].map((name) => table.pin(pathOf(name)))
    if (!a || !b || !c) throw new Error('three entries')
    await table.load([b])
    await table.load([a, b, c])
    expect(storage.loaded).toEqual(['b', 'a', 'c'])
    expect([a, b, c].map(({ durable }) => durable?.path)).toEqual(['a', 'b', 'c'])
  })
})

describe('dropping', () => {
  it('keeps at most so many idle streams, the ones used last', async () => {
    const storage = await storeOf('a', 'b', 'c', 'd')
    const table = tableOn(storage, 2)
    for (const name of ['a', 'b', 'c', 'b', 'd']) {
      const entity = table.pin(pathOf(name))
      await table.load([entity])
      table.unpin(entity)
      expect(table.size).toBeLessThanOrEqual(2)
    }
    for (const name of ['b', 'd', 'a']) await table.load([table.pin(pathOf(name))])
    expect(storage.loaded).toEqual(['a', 'b', 'c', 'd', 'a'])
  })

  it('drops nothing that is in use, however many there are', async () => {
    const names = Array.from({ length: 20 }, (_, at) => `s${at}`)
    const table = tableOn(await storeOf(...names), 2)
    const entities = names.map((name) => table.pin(pathOf(name)))
    await table.load(entities)
    expect(table.size).toBe(20)
    for (const entity of entities) table.unpin(entity)
    expect(table.size).toBe(2)
  })

  it('never remembers that there was no stream', async () => {
    const storage = new ScriptedStorage()
    const table = tableOn(storage)
    for (let round = 0; round < 3; round++) {
      const entity = table.pin(pathOf('a'))
      await table.load([entity])
      table.unpin(entity)
      expect(table.size).toBe(0)
    }
    expect(storage.loaded).toEqual(['a', 'a', 'a'])
  })
})

describe('in an engine', () => {
  it('10,000 streams used and left leave as many entries as the bound says', async () => {
    const world = new World({ synchronous: true, limits: { maxIdleStreams: 100 } })
    for (let at = 0; at < 10_000; at++) {
      await world.create(`s${at}`)
      await world.append(`s${at}`, 'x')
    }
    expect(world.engine.statistics()).toMatchObject({ entities: 100, pendingCommits: 0, readers: 0 })
    expect(await world.text('s0')).toBe('x')
  })

  it('deleted streams leave nothing', async () => {
    const world = new World({ synchronous: true })
    for (let at = 0; at < 1000; at++) {
      await world.create(`s${at}`, { expiry: ttl(60) })
      await world.read(`s${at}`)
      await world.remove(`s${at}`)
      await world.head(`s${at}`)
      await world.read(`nothing${at}`)
    }
    expect(world.engine.statistics()).toEqual({ readers: 0, entities: 0, deadlines: 1, pendingCommits: 0 })
  })

  it('streams whose last commit failed leave nothing', async () => {
    let isBroken = false
    const world = new World({
      fateOf: () => {
        if (isBroken) throw new Error('disk')
        return 'apply'
      },
    })
    await world.done(world.create('a'))
    isBroken = true
    await expect(world.done(world.append('a', 'x'))).rejects.toMatchObject({ code: 'storage' })
    await expect(world.done(world.create('b'))).rejects.toMatchObject({ code: 'storage' })
    expect(world.engine.statistics()).toMatchObject({ entities: 0, pendingCommits: 0 })
  })

  it('commands that meet on a stream that is not loaded yet all see each other', async () => {
    const world = new World({ limits: { maxIdleStreams: 0 } })
    await world.done(world.create('a'))
    world.storage.loads.shut()
    const appends = ['1', '2', '3'].map((content) => world.append('a', content))
    await world.settle()
    world.storage.loads.open()
    await world.done(Promise.all(appends))
    expect(await world.text('a')).toBe('123')
  })
})
