import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type ProducerEntry, ProducerTable } from './producer-table.ts'

const runs = { seed: 20_241_009, numRuns: 2000 }

function entry(lastSeq: number, updatedAtMs = 0): ProducerEntry {
  return { epoch: 0, lastSeq, updatedAtMs }
}

function contents(table: ProducerTable): Record<string, number> {
  return Object.fromEntries([...table.entries()].map(([id, { lastSeq }]) => [id, lastSeq]).sort())
}

describe('a table of producers', () => {
  it('is empty at first', () => {
    expect(ProducerTable.empty.size).toBe(0)
    expect(ProducerTable.empty.get('p')).toBeUndefined()
    expect([...ProducerTable.empty.entries()]).toEqual([])
  })

  it('R-105: keeps the producers apart', () => {
    const table = ProducerTable.empty.with('a', entry(1)).with('b', entry(2)).with('a', entry(3))
    expect(table.size).toBe(2)
    expect(contents(table)).toEqual({ a: 3, b: 2 })
  })

  it('compares ids exactly', () => {
    const ids = ['p', 'P', 'p ', '', '\u00e9', 'e\u0301', '__proto__', 'constructor', '0']
    const table = ids.reduce((made, id, i) => made.with(id, entry(i)), ProducerTable.empty)
    expect(table.size).toBe(ids.length)
    expect(ids.map((id) => table.get(id)?.lastSeq)).toEqual(ids.map((_, i) => i))
  })

  it('leaves the version it was made from as it is', () => {
    const before = ProducerTable.empty.with('a', entry(1))
    const after = before.with('a', entry(2)).with('b', entry(3))
    expect(contents(before)).toEqual({ a: 1 })
    expect(contents(after)).toEqual({ a: 2, b: 3 })
    expect(ProducerTable.empty.size).toBe(0)
  })

  it('R-113: forgets the producers that were last used before an instant', () => {
    const table = ProducerTable.empty.with('old', entry(1, 999)).with('new', entry(2, 1000))
    expect(contents(table.withoutIdle(1000))).toEqual({ new: 2 })
    expect(contents(table.withoutIdle(1001))).toEqual({})
    expect(contents(table)).toEqual({ new: 2, old: 1 })
  })

  it('is the same table when nobody is idle', () => {
    const table = ProducerTable.empty.with('a', entry(1, 1000))
    expect(table.withoutIdle(1000)).toBe(table)
  })

  it('keeps ten thousand producers', () => {
    const ids = Array.from({ length: 10_000 }, (_, i) => `producer-${i}`)
    const table = ids.reduce((made, id, i) => made.with(id, entry(i)), ProducerTable.empty)
    expect(table.size).toBe(10_000)
    expect(ids.every((id, i) => table.get(id)?.lastSeq === i)).toBe(true)
    expect(table.get('producer-10000')).toBeUndefined()
  })

  it('does what a map does, from version to version', () => {
    const id = fc.oneof(
      fc.constantFrom('a', 'b', 'c'),
      fc.nat({ max: 200 }).map(String),
      fc.string({ maxLength: 3 }),
    )
    const change = fc.oneof(
      { weight: 20, arbitrary: fc.tuple(id, fc.nat({ max: 100 })) },
      { weight: 1, arbitrary: fc.nat({ max: 60 }) },
    )
    const property = fc.property(fc.array(change, { maxLength: 150 }), (changes) => {
      let table = ProducerTable.empty
      let model = new Map<string, ProducerEntry>()
      for (const [step, one] of changes.entries()) {
        if (typeof one === 'number') {
          table = table.withoutIdle(one)
          model = new Map([...model].filter(([, known]) => known.updatedAtMs >= one))
        } else {
          table = table.with(one[0], entry(step, one[1]))
          model.set(one[0], entry(step, one[1]))
        }
      }
      const rebuilt = ProducerTable.from(table.entries())
      return [table, rebuilt].every((version) => {
        const known = [...version.entries()]
        return (
          version.size === model.size &&
          known.length === model.size &&
          known.every(([name, { lastSeq }]) => model.get(name)?.lastSeq === lastSeq) &&
          [...model].every(([name, { lastSeq }]) => version.get(name)?.lastSeq === lastSeq)
        )
      })
    })
    expect(fc.check(property, runs).counterexample).toBeNull()
  })
})
