import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { pathOf } from './contract-stream.ts'
import { DueQueue } from './due-queue.ts'

const [a, b, c] = [pathOf('a'), pathOf('b'), pathOf('c')]

describe('the due queue', () => {
  it('gives what is due, earliest first, and keeps it', () => {
    const queue = new DueQueue()
    queue.set(a, 30)
    queue.set(b, 10)
    queue.set(c, 20)
    for (let round = 0; round < 3; round++) {
      expect(queue.due(20, 10)).toEqual([
        { path: b, dueAtMs: 10 },
        { path: c, dueAtMs: 20 },
      ])
    }
    expect(queue.due(9, 10)).toEqual([])
    expect(queue.due(100, 1)).toEqual([{ path: b, dueAtMs: 10 }])
    expect(queue.due(100, 0)).toEqual([])
  })

  it('orders by the newest time of each, not by the one it was first given', () => {
    const queue = new DueQueue()
    queue.set(a, 10)
    queue.set(b, 20)
    queue.set(a, 30)
    expect(queue.due(100, 1)).toEqual([{ path: b, dueAtMs: 20 }])
    expect(queue.due(100, 10)).toEqual([
      { path: b, dueAtMs: 20 },
      { path: a, dueAtMs: 30 },
    ])
  })

  it('forgets and takes again', () => {
    const queue = new DueQueue()
    queue.set(a, 10)
    queue.set(a, undefined)
    expect(queue.due(100, 10)).toEqual([])
    queue.set(a, 5)
    queue.set(a, 50)
    expect(queue.due(49, 10)).toEqual([])
    expect(queue.due(50, 10)).toEqual([{ path: a, dueAtMs: 50 }])
  })

  it('agrees with a list that is sorted each time', () => {
    const change = fc.record({ name: fc.nat(12), dueAtMs: fc.option(fc.nat(50), { nil: undefined }) })
    const look = fc.record({ untilMs: fc.nat(60), limit: fc.nat(14) })
    const step = fc.oneof({ weight: 3, arbitrary: change }, { weight: 1, arbitrary: look })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const queue = new DueQueue()
        const known = new Map<string, number>()
        const disagreements: unknown[] = []
        for (const one of steps) {
          if ('name' in one) {
            queue.set(pathOf(`p${one.name}`), one.dueAtMs)
            if (one.dueAtMs === undefined) known.delete(`p${one.name}`)
            else known.set(`p${one.name}`, one.dueAtMs)
            continue
          }
          const found = queue.due(one.untilMs, one.limit)
          const expected = [...known.values()]
            .filter((dueAtMs) => dueAtMs <= one.untilMs)
            .sort((x, y) => x - y)
          const times = found.map(({ dueAtMs }) => dueAtMs)
          const areTrue = found.every(({ path, dueAtMs }) => known.get(path) === dueAtMs)
          const areApart = new Set(found.map(({ path }) => path)).size === found.length
          if (!areTrue || !areApart || String(times) !== String(expected.slice(0, one.limit))) {
            disagreements.push({ found, expected })
          }
        }
        expect(disagreements).toEqual([])
      }),
      { seed: 11, numRuns: 300 },
    )
  })

  it('does not keep what is gone, however far away its time was', () => {
    const queue = new DueQueue()
    const far = 1e15
    for (let i = 0; i < 10_000; i++) {
      queue.set(pathOf(`a/${i}`), far + i)
      queue.set(pathOf(`a/${i}`), undefined)
    }
    expect(queue.size).toBeLessThan(100)
  })
})
