/** A projection: follows the log of an order and keeps its read models up to date, across restarts. */
import { type Offset, type StreamResponse, stream } from '@millrace/client'
import { loadJson, saveJson } from './json-file.ts'
import type { OrderEvent } from './order-events.ts'
import { EMPTY_VIEWS, type OrderViews, projectEvent } from './summary-view.ts'

/** The views and the checkpoint are one value, so that no crash can save one without the other. */
interface Checkpoint {
  readonly offset: Offset
  readonly views: OrderViews
}

interface Waiter {
  readonly offset: Offset
  readonly resolve: () => void
}

/** A running projection. `stop` ends it; starting it again on the same file goes on from there. */
export class Projection {
  /** How many events this run has applied: after a restart, only those that came since. */
  appliedEvents = 0
  readonly #path: string
  readonly #session: StreamResponse<OrderEvent>
  readonly #waiters = new Set<Waiter>()
  #checkpoint: Checkpoint
  #saving: Promise<void> = Promise.resolve()

  private constructor(path: string, checkpoint: Checkpoint, session: StreamResponse<OrderEvent>) {
    this.#path = path
    this.#checkpoint = checkpoint
    this.#session = session
    session.subscribeJson<OrderEvent>(({ items, offset }) => {
      this.#saving = this.#apply(items, offset)
      return this.#saving
    })
  }

  /** Goes on where the file says, or begins with the first event. */
  static async start(url: string, path: string): Promise<Projection> {
    const checkpoint = (await loadJson<Checkpoint>(path)) ?? { offset: '-1', views: EMPTY_VIEWS }
    const session = await stream<OrderEvent>({ url, offset: checkpoint.offset, live: true })
    return new Projection(path, checkpoint, session)
  }

  /** The query side: answers from memory, without reading the log. */
  get views(): OrderViews {
    return this.#checkpoint.views
  }

  /**
   * Resolves once everything before an offset is applied and saved: how to read your own writes. Rejects when the
   * projection ends before.
   */
  async reaches(offset: Offset): Promise<void> {
    const ended = this.#session.closed.then(() => {
      if (this.#checkpoint.offset < offset) throw new Error('The projection was stopped: start it again')
    })
    const applied = new Promise<void>((resolve) => {
      this.#waiters.add({ offset, resolve })
      this.#wake()
    })
    await Promise.race([applied, ended])
  }

  /** Resolves once nothing more is written to the file. */
  async stop(): Promise<void> {
    this.#session.cancel()
    await this.#session.closed
    await this.#saving
  }

  async #apply(events: readonly OrderEvent[], offset: Offset): Promise<void> {
    const next = { offset, views: events.reduce(projectEvent, this.#checkpoint.views) }
    await saveJson(this.#path, next)
    this.#checkpoint = next
    this.appliedEvents += events.length
    this.#wake()
  }

  #wake(): void {
    for (const waiter of this.#waiters) {
      // Offsets compare in stream order; `-1`, the beginning, is before all others.
      if (this.#checkpoint.offset < waiter.offset) continue
      this.#waiters.delete(waiter)
      waiter.resolve()
    }
  }
}
