/** Removes expired streams in the background, so that their space and their forks' sources come free. */
import type { Outcome, StreamPath } from '@millrace/protocol'
import type { Deadline, Deadlines } from './deadlines.ts'
import { type Fault, toFault } from './fault.ts'
import type { EngineLimits } from './limits.ts'
import type { StreamStorage } from './storage.ts'

/** What the sweeper needs of the engine. */
export interface SweepContext {
  readonly intervalMs: number
  nowMs(): number
  remove(path: StreamPath): Promise<Outcome>
  onFault(fault: Fault): void
}

/** Looks for due streams at a fixed pace, on the engine's one timer; streams that sleep cost nothing. */
export class Sweeper implements Deadline {
  readonly #storage: StreamStorage
  readonly #deadlines: Deadlines
  readonly #limits: EngineLimits
  readonly #context: SweepContext
  #isStopped = false

  constructor(storage: StreamStorage, deadlines: Deadlines, limits: EngineLimits, context: SweepContext) {
    this.#storage = storage
    this.#deadlines = deadlines
    this.#limits = limits
    this.#context = context
    this.#schedule()
  }

  stop(): void {
    this.#isStopped = true
  }

  expire(): void {
    if (this.#isStopped) return
    this.#sweep()
      .catch((error) => this.#context.onFault(toFault(error)))
      .finally(() => this.#schedule())
  }

  #schedule(): void {
    if (!this.#isStopped) this.#deadlines.schedule(this.#context.intervalMs, this)
  }

  async #sweep(): Promise<void> {
    // Nothing can be removed then, and the store has told why.
    if (this.#storage.refusesWrites?.() !== undefined) return
    const due = await this.#storage.due(this.#context.nowMs(), this.#limits.sweepBatch)
    for (const { path } of due) {
      if (this.#isStopped) return
      // One that cannot be removed does not keep the others; it is still due at the next sweep.
      await this.#context.remove(path).catch((error) => this.#context.onFault(toFault(error)))
    }
  }
}
