import { describe, expect, it } from 'vitest'
import { ContractStream, NOW } from './contract-stream.ts'
import { Entity } from './entity.ts'
import { Ticket } from './group-commit.ts'

const MINUTE = { kind: 'ttl', ttlSeconds: 60 } as const

/** An entity that holds what a stream's writer last committed. */
function entityOf(stream: ContractStream): Entity {
  const entity = new Entity(stream.path)
  entity.install(stream.state && { state: stream.state, version: stream.version })
  return entity
}

function ticketOf(stream: ContractStream): Ticket {
  return new Ticket({ changes: [stream.write('x')] })
}

describe('states', () => {
  it('are the same, decided and durable, once loaded', () => {
    const stream = new ContractStream('a')
    stream.create()
    const entity = entityOf(stream)
    expect([entity.decided, entity.durable, entity.version]).toEqual([stream.state, stream.state, 1])
  })

  it('move apart with a commit on its way, and together again when it arrives', () => {
    const stream = new ContractStream('a')
    stream.create()
    const entity = entityOf(stream)
    const ticket = ticketOf(stream)
    entity.decide(stream.state, ticket)
    expect([entity.decided?.tail, entity.durable?.tail, entity.version]).toEqual([1, 0, 2])
    expect(entity.inFlight).toBe(ticket)
    entity.settle(stream.state)
    expect(entity.durable?.tail).toBe(1)
  })

  it('begin again at version 0 where a stream was purged', () => {
    const stream = new ContractStream('a')
    stream.create()
    const entity = entityOf(stream)
    entity.decide(undefined, ticketOf(stream))
    entity.settle(undefined)
    expect([entity.decided, entity.durable, entity.version]).toEqual([undefined, undefined, 0])
  })

  it('a slice that readers had in common is let go when the stream moves', () => {
    const stream = new ContractStream('a')
    stream.create()
    const entity = entityOf(stream)
    const state = entity.durable
    if (state === undefined) throw new Error('the stream is there')
    entity.sharedSlice = { slice: { state, from: 0, to: 0, pieces: [] }, to: 0 }
    stream.write('x')
    entity.settle(stream.state)
    expect(entity.sharedSlice).toBe(undefined)
  })
})

describe('the sliding window', () => {
  it('restarts with a touch, for decided and durable state alike', () => {
    const stream = new ContractStream('a')
    stream.create({ expiry: MINUTE })
    const entity = entityOf(stream)
    entity.decide(stream.state, ticketOf(stream))
    expect(entity.touch(NOW + 5000)).toBe(NOW + 65_000)
    expect([entity.decided?.lastAccessMs, entity.durable?.lastAccessMs]).toEqual([NOW + 5000, NOW + 5000])
  })

  it('is not set back by a commit that was decided before the touch, nor by what is loaded', () => {
    const stream = new ContractStream('a')
    stream.create({ expiry: MINUTE })
    const entity = entityOf(stream)
    const before = stream.state
    entity.touch(NOW + 5000)
    entity.settle(before)
    expect(entity.durable?.lastAccessMs).toBe(NOW + 5000)
    entity.install(before && { state: before, version: 1 })
    expect([entity.decided?.lastAccessMs, entity.durable?.lastAccessMs]).toEqual([NOW + 5000, NOW + 5000])
  })

  it('of a stream that was made later is its own', () => {
    const stream = new ContractStream('a')
    stream.create({ expiry: MINUTE })
    const entity = entityOf(stream)
    entity.touch(NOW + 5000)
    const later = new ContractStream('a', 'later')
    later.create({ expiry: MINUTE }, { atMs: NOW + 9000, closes: true })
    entity.settle(later.state)
    expect(entity.durable?.lastAccessMs).toBe(NOW + 9000)
  })

  it('is no matter for streams without one, or deleted, or not there', () => {
    const plain = new ContractStream('a')
    plain.create()
    const deleted = new ContractStream('b')
    deleted.create({ expiry: MINUTE })
    deleted.note('referenced')
    deleted.note('soft-deleted')
    const entities = [entityOf(plain), entityOf(deleted), new Entity(plain.path)]
    expect(entities.map((entity) => entity.touch(NOW + 5000))).toEqual([undefined, undefined, undefined])
  })

  it('is halfway when half of it has passed', () => {
    const stream = new ContractStream('a')
    stream.create({ expiry: MINUTE })
    const entity = entityOf(stream)
    expect([29_999, 30_000].map((ms) => entity.isHalfway(NOW + ms))).toEqual([false, true])
  })
})
