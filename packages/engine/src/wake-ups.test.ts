import { describe, expect, it } from 'vitest'
import { pathOf } from './contract-stream.ts'
import { Entity, type Waiter } from './entity.ts'
import { ManualClock } from './manual-clock.fixture.ts'
import { park } from './reading.ts'
import { WakeUps } from './wake-ups.ts'

class Bench {
  readonly clock: ManualClock = new ManualClock()
  readonly wakeUps: WakeUps
  readonly entity: Entity = new Entity(pathOf('a'))
  readonly woken: string[] = []

  constructor(perTurn = 100) {
    this.wakeUps = new WakeUps(this.clock, perTurn)
  }

  waiter(name: string, then?: (self: Waiter) => void): Waiter {
    const self: Waiter = {
      wake: () => {
        this.woken.push(name)
        then?.(self)
      },
    }
    return self
  }

  /** Turns until nothing is put off any more. */
  turns(): number {
    let turns = 0
    while (this.clock.endTurn()) turns++
    return turns
  }
}

describe('waking', () => {
  it('wakes whoever waits, in a later turn, once for many moves', () => {
    const bench = new Bench()
    for (const name of ['x', 'y', 'z']) park(bench.entity, bench.waiter(name))
    for (let i = 0; i < 5; i++) bench.wakeUps.moved(bench.entity)
    expect(bench.woken).toEqual([])
    bench.turns()
    expect(bench.woken).toEqual(['x', 'y', 'z'])
    bench.wakeUps.moved(bench.entity)
    bench.turns()
    expect(bench.woken.length).toBe(3)
  })

  it('costs nothing when nobody waits', () => {
    const bench = new Bench()
    bench.wakeUps.moved(bench.entity)
    expect(bench.clock.hasDeferred).toBe(false)
  })

  it('wakes a waiter that parks again for the next move only', () => {
    const bench = new Bench()
    park(
      bench.entity,
      bench.waiter('again', (self) => park(bench.entity, self)),
    )
    bench.wakeUps.moved(bench.entity)
    bench.turns()
    expect(bench.woken).toEqual(['again'])
    bench.wakeUps.moved(bench.entity)
    bench.turns()
    expect(bench.woken).toEqual(['again', 'again'])
  })

  it('leaves out who went away, also while the others are being woken', () => {
    const bench = new Bench(1)
    const places = new Map<Waiter, Set<Waiter>>()
    const last = bench.waiter('last')
    const gone = bench.waiter('gone')
    const first = bench.waiter('first', () => places.get(last)?.delete(last))
    for (const waiter of [first, gone, last]) places.set(waiter, park(bench.entity, waiter))
    places.get(gone)?.delete(gone)
    bench.wakeUps.moved(bench.entity)
    bench.turns()
    expect(bench.woken).toEqual(['first'])
  })

  it('reaches everybody who waits on any of the streams', () => {
    const bench = new Bench(3)
    const entities = ['p', 'q', 'r'].map((name) => new Entity(pathOf(name)))
    for (const entity of entities) {
      for (let i = 0; i < 4; i++) park(entity, bench.waiter(`${entity.path}${i}`))
      bench.wakeUps.moved(entity)
    }
    bench.turns()
    const expected = entities.flatMap(({ path }) => [0, 1, 2, 3].map((i) => `${path}${i}`))
    expect(bench.woken).toEqual(expected)
  })
})

describe('the bound on a turn', () => {
  it('wakes a large audience in parts', () => {
    const bench = new Bench(10)
    for (let i = 0; i < 35; i++) park(bench.entity, bench.waiter(`${i}`))
    bench.wakeUps.moved(bench.entity)
    const seen: number[] = []
    while (bench.clock.endTurn()) seen.push(bench.woken.length)
    expect(seen).toEqual([10, 20, 30, 35])
  })

  it('tells those who parked in between about a move that came in between', () => {
    const bench = new Bench(2)
    for (const name of ['a', 'b', 'c']) park(bench.entity, bench.waiter(name))
    bench.wakeUps.moved(bench.entity)
    bench.clock.endTurn()
    park(bench.entity, bench.waiter('late'))
    bench.wakeUps.moved(bench.entity)
    bench.turns()
    expect(bench.woken).toEqual(['a', 'b', 'c', 'late'])
  })
})
