/** Due times of streams in memory: a heap with lazy updates, so that renewing a window costs one map write. */
import type { StreamPath } from '@millrace/protocol'
import type { DueEntry } from './storage.ts'

/** Orders streams by when they are due; later renewals are noticed when the old time comes up. */
export class DueQueue {
  readonly #due = new Map<StreamPath, number>()
  #heap: DueEntry[] = []
  /** Earliest heap entry of each path, so that renewals do not pile up. */
  readonly #queued = new Map<StreamPath, number>()

  /** Entries in memory, those of streams that are gone included; bounded by those that are due some time. */
  get size(): number {
    return this.#heap.length
  }

  set(path: StreamPath, dueAtMs: number | undefined): void {
    if (dueAtMs === undefined) {
      if (this.#due.delete(path)) this.#forget(path)
      return
    }
    this.#due.set(path, dueAtMs)
    const queued = this.#queued.get(path)
    if (queued === undefined || dueAtMs < queued) this.#push({ path, dueAtMs })
  }

  /** The streams that are due, earliest first; they stay in the queue. */
  due(atOrBeforeMs: number, limit: number): readonly DueEntry[] {
    const found: DueEntry[] = []
    while (found.length < limit) {
      const top = this.#heap[0]
      if (top === undefined || top.dueAtMs > atOrBeforeMs) break
      this.#pop()
      if (this.#queued.get(top.path) !== top.dueAtMs) continue
      this.#queued.delete(top.path)
      const dueAtMs = this.#due.get(top.path)
      if (dueAtMs === undefined) continue
      // Renewed since it was queued: back into the queue, to come up in its new turn.
      if (dueAtMs === top.dueAtMs) found.push(top)
      else this.#push({ path: top.path, dueAtMs })
    }
    for (const entry of found) this.#push(entry)
    return found
  }

  /** Entries of streams that are gone stay in the heap until they come up, or until they are most of it. */
  #forget(path: StreamPath): void {
    this.#queued.delete(path)
    if (this.#heap.length < 64 || this.#heap.length < 2 * this.#due.size) return
    this.#heap = []
    this.#queued.clear()
    for (const [kept, dueAtMs] of this.#due) this.#push({ path: kept, dueAtMs })
  }

  #push(entry: DueEntry): void {
    this.#queued.set(entry.path, entry.dueAtMs)
    const heap = this.#heap
    let at = heap.push(entry) - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      const above = heap[parent]
      if (above === undefined || above.dueAtMs <= entry.dueAtMs) break
      heap[at] = above
      at = parent
    }
    heap[at] = entry
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return
    let at = 0
    for (;;) {
      let child = at * 2 + 1
      const right = heap[child + 1]
      const left = heap[child]
      if (left === undefined) break
      if (right !== undefined && right.dueAtMs < left.dueAtMs) child++
      const below = heap[child]
      if (below === undefined || below.dueAtMs >= last.dueAtMs) break
      heap[at] = below
      at = child
    }
    heap[at] = last
  }
}
