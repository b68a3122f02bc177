/** Order statistics over measured values. */

/** Nearest-rank percentile of an ascending list; `percent` in (0, 100]. Zero for an empty list. */
export function percentile(ascending: ArrayLike<number>, percent: number): number {
  const rank = Math.ceil((percent / 100) * ascending.length)
  return ascending[Math.max(rank, 1) - 1] ?? 0
}

/** The middle value, or the mean of the two in the middle. Zero for an empty list. */
export function median(values: readonly number[]): number {
  const ascending = [...values].sort((a, b) => a - b)
  const upper = ascending[Math.floor(ascending.length / 2)] ?? 0
  const lower = ascending[Math.floor((ascending.length - 1) / 2)] ?? 0
  return (lower + upper) / 2
}

/** Keeps up to `capacity` latencies without allocating while measuring. */
export class LatencyLog {
  readonly #values: Float64Array
  #count = 0

  constructor(capacity: number) {
    this.#values = new Float64Array(capacity)
  }

  get count(): number {
    return this.#count
  }

  add(milliseconds: number): void {
    this.#values[this.#count] = milliseconds
    this.#count += 1
  }

  clear(): void {
    this.#count = 0
  }

  summary(): { readonly p50: number; readonly p99: number } {
    const ascending = this.#values.slice(0, this.#count).sort()
    return { p50: percentile(ascending, 50), p99: percentile(ascending, 99) }
  }
}
