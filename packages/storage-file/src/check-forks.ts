/**
 * Checks what streams say about each other: a fork's ancestors are there and hold what it inherits, and a stream
 * counts exactly the forks that name it. Counting takes the same memory however many streams there are: sums over
 * all streams with the same hash have to be zero, and only streams whose sum is not are looked at one by one.
 */
import { ownFrom, type StreamId, type StreamPath, type StreamState } from '@millrace/protocol'
import type { ReplayedHome } from './check-replay.ts'
import { checksum } from './checksum.ts'
import { type CheckReport, inStream, RESTORE } from './finding.ts'
import type { ReadableHome } from './home.ts'
import { identityKey, prefixEnd, streamKey } from './home-keys.ts'
import { type Looked, look, walkHome } from './home-walk.ts'
import { decodeStream, textOf } from './state-codec.ts'

const BUCKETS = 65_536
/** A stream's count is weighed, so that a count too high and one too low in one bucket do not cancel out. */
const WEIGHTS = 65_521
/** Buckets that are looked at one by one: a home with more is damaged all over. */
const MOST_SUSPECTS = 64

/** What forks are checked against. */
export interface ForkContext {
  readonly home: ReadableHome
  readonly replayed: ReplayedHome
  readonly report: CheckReport
}

/** What the second look comes across has been reported by the first one. */
function silently(report: CheckReport): CheckReport {
  return { find: () => undefined, count: () => undefined, progress: (bytes) => report.progress(bytes) }
}

/** Told the states of the home as a walk comes to them; `finish` adds what the journal holds beyond. */
export class ForkCheck {
  readonly #context: ForkContext
  readonly #sums = new Float64Array(BUCKETS)

  constructor(context: ForkContext) {
    this.#context = context
  }

  /** A state of the home; one that the journal has a newer state for does not count. */
  add(state: StreamState): void {
    if (!this.#context.replayed.layer.entries.has(state.path)) this.#count(state)
  }

  async finish(): Promise<void> {
    for (const { state } of this.#context.replayed.layer.entries.values()) {
      if (state !== undefined) this.#count(state)
    }
    const suspects = new Set<number>()
    for (const [bucket, sum] of this.#sums.entries()) {
      if (sum !== 0 && suspects.size < MOST_SUSPECTS) suspects.add(bucket)
    }
    if (suspects.size > 0) await this.#nameMiscounted(suspects)
  }

  #count(state: StreamState): void {
    if (state.refCount !== 0) this.#weigh(state.id, state.refCount)
    if (state.fork === undefined) return
    this.#weigh(state.fork.sourceId, -1)
    this.#checkAncestors(state, state.fork)
  }

  #weigh(id: StreamId, count: number): void {
    const hash = hashOf(id)
    const bucket = hash % BUCKETS
    this.#sums[bucket] = (this.#sums[bucket] ?? 0) + count * ((hash % WEIGHTS) + 1)
  }

  #checkAncestors(state: StreamState, fork: NonNullable<StreamState['fork']>): void {
    if (fork.ancestors[0] !== fork.sourcePath)
      this.#error(state.path, 'The fork does not name its source first.')
    for (const [age, path] of fork.ancestors.entries()) {
      const entry = this.#context.replayed.entry(path)
      if (entry === 'damaged') continue
      const isNamed = entry.state !== undefined && (age > 0 || entry.state.id === fork.sourceId)
      if (!isNamed) this.#error(state.path, `The stream ${path}, which this fork reads from, is not there.`)
    }
    let at = 0
    for (const range of fork.inherited) {
      const owner = this.#stateOf(range.id)
      if (owner === 'damaged') return
      if (owner === undefined || range.from < ownFrom(owner) || range.to > owner.tail) {
        const what = 'The fork inherits these bytes of a stream that does not have them.'
        this.#error(state.path, what, range.from, range.to)
      }
      if (range.from !== at) this.#error(state.path, 'Nobody has these bytes of the fork.', at, range.from)
      at = range.to
    }
    if (at !== fork.ownFrom) this.#error(state.path, 'Nobody has these bytes of the fork.', at, fork.ownFrom)
  }

  #stateOf(id: StreamId): StreamState | 'damaged' | undefined {
    const { home, replayed } = this.#context
    const known = replayed.pathOf(id)
    const looked: Looked<StreamPath> =
      known === undefined ? pathIn(home, id) : { kind: 'found', value: known }
    if (looked.kind === 'damaged') return 'damaged'
    if (looked.kind === 'missing') return undefined
    const entry = replayed.entry(looked.value)
    if (entry === 'damaged') return entry
    return entry.state?.id === id ? entry.state : undefined
  }

  /** The second look: only at streams that may be miscounted. */
  async #nameMiscounted(suspects: ReadonlySet<number>): Promise<void> {
    const { home, replayed, report } = this.#context
    const silent = silently(report)
    const tally = new Tally(suspects)
    for (const { state } of replayed.layer.entries.values()) if (state !== undefined) tally.add(state)
    for await (const [, value] of walkHome(home, streamKey(''), prefixEnd(streamKey('')), silent)) {
      const { state } = decodeStream(value)
      if (!replayed.layer.entries.has(state.path)) tally.add(state)
    }
    for (const { path, refCount, forks } of tally.miscounted()) {
      this.#error(path, `The stream counts ${refCount} forks, but ${forks} name it as their source.`)
    }
  }

  #error(path: StreamPath, what: string, from?: number, to?: number): void {
    const where = inStream(path, from, to)
    this.#context.report.find({ severity: 'error', where, what, whatToDo: RESTORE })
  }
}

interface Counted {
  path: StreamPath
  refCount: number
  forks: number
}

class Tally {
  readonly #suspects: ReadonlySet<number>
  readonly #counted = new Map<StreamId, Counted>()

  constructor(suspects: ReadonlySet<number>) {
    this.#suspects = suspects
  }

  add({ id, path, refCount, fork }: StreamState): void {
    if (refCount !== 0 && this.#isSuspect(id)) {
      const counted = this.#of(id, path)
      counted.path = path
      counted.refCount = refCount
    }
    if (fork !== undefined && this.#isSuspect(fork.sourceId)) this.#of(fork.sourceId, fork.sourcePath).forks++
  }

  miscounted(): readonly Counted[] {
    return [...this.#counted.values()].filter(({ refCount, forks }) => refCount !== forks)
  }

  #isSuspect(id: StreamId): boolean {
    return this.#suspects.has(hashOf(id) % BUCKETS)
  }

  #of(id: StreamId, path: StreamPath): Counted {
    const known = this.#counted.get(id) ?? { path, refCount: 0, forks: 0 }
    this.#counted.set(id, known)
    return known
  }
}

function hashOf(id: StreamId): number {
  return checksum(Buffer.from(id, 'latin1'))
}

function pathIn(home: ReadableHome, id: StreamId): Looked<StreamPath> {
  const looked = look(home, identityKey(id))
  if (looked.kind !== 'found') return looked
  const [path] = JSON.parse(textOf(looked.value)) as [StreamPath]
  return { kind: 'found', value: path }
}
