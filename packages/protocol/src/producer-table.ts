/**
 * The idempotent producers of one stream, as an immutable table: a version with one entry changed shares all
 * the rest with its predecessor, so that decided and durable state can be held side by side at a small cost.
 */

/** Names one request of one producer: its id, its epoch and the request's sequence number in that epoch. */
export interface ProducerStamp {
  readonly id: string
  readonly epoch: number
  readonly seq: number
}

/** What a stream remembers of a producer: the last accepted epoch and seq, and when that was. */
export interface ProducerEntry {
  readonly epoch: number
  readonly lastSeq: number
  readonly updatedAtMs: number
}

type Bucket = ReadonlyMap<string, ProducerEntry>

const EMPTY_BUCKET: Bucket = new Map()
/** Entries a bucket holds on average before the table gets four times as many buckets. */
const BUCKET_LOAD = 16

/** Immutable map from producer id to entry; `with` copies about the square root of the table. */
export class ProducerTable {
  static readonly empty: ProducerTable = new ProducerTable([EMPTY_BUCKET], 0)
  readonly #buckets: readonly Bucket[]
  readonly size: number

  private constructor(buckets: readonly Bucket[], size: number) {
    this.#buckets = buckets
    this.size = size
  }

  get(id: string): ProducerEntry | undefined {
    return this.#bucket(id).get(id)
  }

  /** The table with this entry set. */
  with(id: string, entry: ProducerEntry): ProducerTable {
    const old = this.#bucket(id)
    const grown = old.has(id) ? this.size : this.size + 1
    if (grown > this.#buckets.length * BUCKET_LOAD) {
      return ProducerTable.#spread(this.#buckets.length * 4, [...this.entries(), [id, entry]])
    }
    const bucket = new Map(old)
    bucket.set(id, entry)
    const buckets = this.#buckets.slice()
    buckets[bucketIndex(id, buckets.length)] = bucket
    return new ProducerTable(buckets, grown)
  }

  /** The table without the entries last used before `instantMs`. */
  withoutIdle(instantMs: number): ProducerTable {
    const kept = [...this.entries()].filter(([, entry]) => entry.updatedAtMs >= instantMs)
    return kept.length === this.size ? this : ProducerTable.from(kept)
  }

  *entries(): IterableIterator<readonly [string, ProducerEntry]> {
    for (const bucket of this.#buckets) yield* bucket
  }

  /** Builds a table from its entries, as read back from a store. */
  static from(entries: Iterable<readonly [string, ProducerEntry]>): ProducerTable {
    const all = [...entries]
    if (all.length === 0) return ProducerTable.empty
    let count = 1
    while (all.length > count * BUCKET_LOAD) count *= 4
    return ProducerTable.#spread(count, all)
  }

  static #spread(count: number, entries: readonly (readonly [string, ProducerEntry])[]): ProducerTable {
    const buckets = Array.from({ length: count }, () => new Map<string, ProducerEntry>())
    for (const [id, entry] of entries) buckets[bucketIndex(id, count)]?.set(id, entry)
    return new ProducerTable(
      buckets,
      buckets.reduce((size, bucket) => size + bucket.size, 0),
    )
  }

  #bucket(id: string): Bucket {
    return this.#buckets[bucketIndex(id, this.#buckets.length)] ?? EMPTY_BUCKET
  }
}

/** FNV-1a; the count is a power of four, so the low bits choose. */
function bucketIndex(id: string, count: number): number {
  if (count === 1) return 0
  let hash = 0x811c9dc5
  for (let i = 0; i < id.length; i++) hash = Math.imul(hash ^ id.charCodeAt(i), 0x01000193)
  return (hash ^ (hash >>> 15)) & (count - 1)
}
