import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { seededNumbers } from './contract-stream.ts'
import { type Deadline, Deadlines } from './deadlines.ts'
import { ManualClock } from './manual-clock.fixture.ts'

const GRAIN_MS = 25

class Bench {
  readonly clock: ManualClock = new ManualClock()
  readonly deadlines: Deadlines = new Deadlines(this.clock)
  readonly startMs: number = this.clock.elapsedMs()
  readonly fired: string[] = []

  deadline(name: string): Deadline {
    return { expire: () => this.fired.push(`${name} at ${this.clock.elapsedMs() - this.startMs}`) }
  }

  schedule(delayMs: number, name = String(delayMs)): () => void {
    const deadline = this.deadline(name)
    const slot = this.deadlines.schedule(delayMs, deadline)
    return () => this.deadlines.cancel(slot, deadline)
  }
}

describe('firing', () => {
  it('fires each once, in order of time, on the grain', () => {
    const bench = new Bench()
    for (const delayMs of [500, 20, 1000, 26, 0, 75]) bench.schedule(delayMs)
    bench.clock.pass(2000)
    expect(bench.fired).toEqual(['0 at 0', '20 at 25', '26 at 50', '75 at 75', '500 at 500', '1000 at 1000'])
    bench.clock.pass(2000)
    expect(bench.fired.length).toBe(6)
  })

  it('is never early and at most a grain late, whatever comes and goes', () => {
    const step = fc.record({
      delayMs: fc.nat(3000),
      isCancelled: fc.boolean(),
      passMs: fc.nat(400),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const clock = new ManualClock()
        const deadlines = new Deadlines(clock)
        const wrong: string[] = []
        let expected = 0
        let fired = 0
        for (const { delayMs, isCancelled, passMs } of steps) {
          const wantedMs = clock.elapsedMs() + delayMs
          const deadline = {
            expire: () => {
              fired++
              const lateMs = clock.elapsedMs() - wantedMs
              if (isCancelled || lateMs < 0 || lateMs > GRAIN_MS) wrong.push(`${lateMs} late`)
            },
          }
          const slot = deadlines.schedule(delayMs, deadline)
          if (isCancelled) deadlines.cancel(slot, deadline)
          else expected++
          clock.pass(passMs)
        }
        clock.pass(4000)
        expect({ wrong, fired, timers: clock.timers }).toEqual({ wrong: [], fired: expected, timers: 0 })
        expect(clock.mostTimers).toBeLessThanOrEqual(1)
      }),
      { seed: 7, numRuns: 200 },
    )
  })

  it('takes deadlines that are set while others fire', () => {
    const bench = new Bench()
    const again: Deadline = {
      expire: () => {
        bench.fired.push(`again at ${bench.clock.elapsedMs() - bench.startMs}`)
        if (bench.fired.length < 3) bench.deadlines.schedule(100, again)
      },
    }
    bench.deadlines.schedule(100, again)
    bench.clock.pass(1000)
    expect(bench.fired).toEqual(['again at 100', 'again at 200', 'again at 300'])
  })

  it('waits on if its timer fires too soon', () => {
    const bench = new Bench()
    const exactly = bench.clock.setTimer.bind(bench.clock)
    bench.clock.setTimer = (delayMs, callback) => exactly(delayMs > 50 ? delayMs - 10 : delayMs, callback)
    bench.schedule(200)
    bench.clock.pass(1000)
    expect(bench.fired).toEqual(['200 at 200'])
  })

  it('does not care how the wall clock is set', () => {
    const bench = new Bench()
    bench.schedule(1000)
    bench.clock.skewMs = 86_400_000
    bench.clock.pass(999)
    expect(bench.fired).toEqual([])
    bench.clock.skewMs = -86_400_000
    bench.clock.pass(1)
    expect(bench.fired).toEqual(['1000 at 1000'])
  })
})

describe('giving up', () => {
  it('forgets a deadline, and only that one', () => {
    const bench = new Bench()
    const cancel = bench.schedule(100, 'a')
    bench.schedule(100, 'b')
    cancel()
    expect(bench.deadlines.size).toBe(1)
    bench.clock.pass(1000)
    expect(bench.fired).toEqual(['b at 100'])
    expect(bench.deadlines.size).toBe(0)
  })

  it('is harmless twice, and after the deadline has fired', () => {
    const bench = new Bench()
    const cancel = bench.schedule(100, 'a')
    bench.clock.pass(100)
    cancel()
    cancel()
    bench.schedule(100, 'b')
    cancel()
    bench.clock.pass(1000)
    expect(bench.fired).toEqual(['a at 100', 'b at 200'])
  })

  it('works on a deadline that is about to fire with another', () => {
    const bench = new Bench()
    let cancelSecond = (): void => undefined
    const first: Deadline = { expire: () => cancelSecond() }
    bench.deadlines.schedule(100, first)
    cancelSecond = bench.schedule(100, 'second')
    bench.clock.pass(1000)
    expect(bench.fired).toEqual([])
  })

  it('lets nothing fire after it is closed', () => {
    const bench = new Bench()
    bench.schedule(100)
    bench.schedule(1000)
    bench.deadlines.close()
    bench.clock.pass(5000)
    expect(bench.fired).toEqual([])
    expect(bench.clock.timers).toBe(0)
  })
})

describe('cost', () => {
  it('keeps one timer, and sets few, for thousands of deadlines', () => {
    const bench = new Bench()
    const next = seededNumbers(3)
    for (let i = 0; i < 20_000; i++) bench.schedule(next() * 1000)
    expect(bench.deadlines.size).toBe(20_000)
    bench.clock.pass(1100)
    expect(bench.fired.length).toBe(20_000)
    expect(bench.clock.mostTimers).toBe(1)
    expect(bench.clock.timersSet).toBeLessThan(60)
  })
})
