/**
 * Watches the event loop from inside: an immediate that asks for itself again sees how long every turn took. For long
 * turns it also says what part of it the thread waited for a core (`/proc`, Linux) and what part was garbage
 * collection, so that the rest is what the program's own work held up.
 */
import { closeSync, openSync, readSync } from 'node:fs'
import { PerformanceObserver } from 'node:perf_hooks'

/** A turn of the event loop that took long. */
export interface LongTurn {
  readonly startMs: number
  readonly tookMs: number
  /** Waited for a core that something else was using. */
  readonly queuedMs: number
  readonly collectingMs: number
}

export interface LoopReport {
  readonly turns: number
  readonly longTurns: readonly LongTurn[]
}

/** Shorter turns are not kept. */
const LONG_MS = 2
const SCHEDSTAT_BYTES = 64

interface Span {
  readonly startMs: number
  readonly endMs: number
}

function overlap(a: Span, b: Span): number {
  return Math.max(0, Math.min(a.endMs, b.endMs) - Math.max(a.startMs, b.startMs))
}

export class LoopProbe {
  readonly #text = Buffer.alloc(SCHEDSTAT_BYTES)
  #collections: Span[] = []
  #long: (Span & { queuedMs: number })[] = []
  #turns = 0
  #isWatching = false
  #observer: PerformanceObserver | undefined
  #schedstat = -1

  start(): void {
    this.#collections = []
    this.#long = []
    this.#turns = 0
    this.#isWatching = true
    // The main thread has the number of its process.
    this.#schedstat = openSync(`/proc/self/task/${process.pid}/schedstat`, 'r')
    this.#observer = new PerformanceObserver((list) => {
      for (const { startTime, duration } of list.getEntries()) {
        this.#collections.push({ startMs: startTime, endMs: startTime + duration })
      }
    })
    this.#observer.observe({ entryTypes: ['gc'] })
    this.#watch(performance.now(), this.#queuedMs())
  }

  /** Stops watching and tells what was seen. */
  async finish(): Promise<LoopReport> {
    this.#isWatching = false
    // The last collections are reported a little later.
    await new Promise((resolve) => setTimeout(resolve, 100))
    this.#observer?.disconnect()
    closeSync(this.#schedstat)
    const longTurns = this.#long.map((turn) => ({
      startMs: turn.startMs,
      tookMs: turn.endMs - turn.startMs,
      queuedMs: turn.queuedMs,
      collectingMs: this.#collections.reduce((sum, collection) => sum + overlap(turn, collection), 0),
    }))
    return { turns: this.#turns, longTurns }
  }

  #watch(startMs: number, queuedBefore: number): void {
    setImmediate(() => {
      if (!this.#isWatching) return
      const endMs = performance.now()
      const queued = this.#queuedMs()
      this.#turns += 1
      if (endMs - startMs >= LONG_MS) this.#long.push({ startMs, endMs, queuedMs: queued - queuedBefore })
      this.#watch(endMs, queued)
    })
  }

  /** Time this thread has been ready to run without running, so far. */
  #queuedMs(): number {
    const length = readSync(this.#schedstat, this.#text, 0, SCHEDSTAT_BYTES, 0)
    return Number(this.#text.toString('latin1', 0, length).split(' ')[1]) / 1e6
  }
}
