/**
 * All waits of the engine on one timer. Deadlines are rounded up to a grain and share a slot, so ten thousand
 * waiting readers are a few hundred slots, not ten thousand timers.
 */
import type { Clock, Timer } from './clock.ts'

/** Something that happens when its time has come. `expire` must not throw. */
export interface Deadline {
  expire(): void
}

/** How late a deadline may fire. */
const GRAIN_MS = 25

/** Where a waiting deadline is found again, to give it up. */
export type DeadlineSlot = Set<Deadline>

/** The scheduler. It runs on monotonic time: a wall clock that is set back or forward moves no deadline. */
export class Deadlines {
  readonly #clock: Clock
  readonly #slots = new Map<number, DeadlineSlot>()
  /** Slot times in use, as a binary heap: the earliest first. */
  readonly #times: number[] = []
  #timer: Timer | undefined
  #timerAtMs = Number.POSITIVE_INFINITY

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** The time that deadlines are measured in. */
  elapsedMs(): number {
    return this.#clock.elapsedMs()
  }

  /** Calls `deadline.expire()` once, `delayMs` from now or up to a grain later. */
  schedule(delayMs: number, deadline: Deadline): DeadlineSlot {
    const atMs = Math.ceil((this.#clock.elapsedMs() + delayMs) / GRAIN_MS) * GRAIN_MS
    const existing = this.#slots.get(atMs)
    if (existing) {
      existing.add(deadline)
      return existing
    }
    const slot: DeadlineSlot = new Set([deadline])
    this.#slots.set(atMs, slot)
    pushHeap(this.#times, atMs)
    if (atMs < this.#timerAtMs) this.#arm(atMs)
    return slot
  }

  /** Gives a deadline up; harmless when it has fired already. */
  cancel(slot: DeadlineSlot, deadline: Deadline): void {
    slot.delete(deadline)
  }

  /** Waits under way, for statistics and tests. */
  get size(): number {
    let size = 0
    for (const slot of this.#slots.values()) size += slot.size
    return size
  }

  close(): void {
    this.#timer?.cancel()
    this.#slots.clear()
    this.#times.length = 0
  }

  #arm(atMs: number): void {
    this.#timer?.cancel()
    this.#timerAtMs = atMs
    this.#timer = this.#clock.setTimer(Math.max(0, atMs - this.#clock.elapsedMs()), () => this.#fire())
  }

  #fire(): void {
    this.#timer = undefined
    this.#timerAtMs = Number.POSITIVE_INFINITY
    const elapsedMs = this.#clock.elapsedMs()
    const due: DeadlineSlot[] = []
    for (let atMs = this.#times[0]; atMs !== undefined && atMs <= elapsedMs; atMs = this.#times[0]) {
      popHeap(this.#times)
      const slot = this.#slots.get(atMs)
      this.#slots.delete(atMs)
      if (slot) due.push(slot)
    }
    const next = this.#times[0]
    if (next !== undefined) this.#arm(next)
    for (const slot of due) {
      for (const deadline of slot) deadline.expire()
    }
  }
}

function pushHeap(heap: number[], value: number): void {
  let at = heap.push(value) - 1
  while (at > 0) {
    const parent = (at - 1) >> 1
    const above = heap[parent] ?? 0
    if (above <= value) break
    heap[at] = above
    at = parent
  }
  heap[at] = value
}

function popHeap(heap: number[]): void {
  const last = heap.pop()
  if (last === undefined || heap.length === 0) return
  let at = 0
  for (;;) {
    let child = at * 2 + 1
    if (child >= heap.length) break
    if ((heap[child + 1] ?? Number.POSITIVE_INFINITY) < (heap[child] ?? 0)) child++
    const below = heap[child] ?? 0
    if (below >= last) break
    heap[at] = below
    at = child
  }
  heap[at] = last
}
