/** A memory store behind glass: calls can be held back, made slow, refused or broken, and are counted. */
import type { OwnRange, StreamId, StreamPath } from '@millrace/protocol'
import type { Eventual } from './eventual.ts'
import { memoryStorage } from './memory-storage.ts'
import type {
  AppendUnit,
  Commit,
  CommitResult,
  DueEntry,
  StorageTraits,
  StreamStorage,
  StreamSummary,
  Touch,
  VersionedState,
} from './storage.ts'

/**
 * What becomes of one commit. `apply`: whatever the inner store says. `lost` and `kept`: the outcome is reported as
 * unknown, and it did not happen, or it did.
 */
export type CommitFate = 'apply' | 'conflict' | 'full' | 'lost' | 'kept'

/** What a test decides about. All calls answer through promises unless they are `synchronous`. */
export interface StorageScript {
  readonly traits?: Partial<StorageTraits>
  readonly synchronous?: boolean
  readonly inner?: StreamStorage
  /** May throw: then the call as a whole fails. */
  fateOf?(commit: Commit, at: number): CommitFate
  /** Before a read or `unitAt`; may throw. */
  beforeRead?(id: StreamId): void
  /** Before a touch; may throw. */
  readonly beforeTouch?: () => void
  /** Before a load; may throw. */
  beforeLoad?(paths: readonly StreamPath[]): void
  /** Before a look at what is due; may throw. */
  beforeDue?(): void
}

/** A gate: while it is shut, whoever comes waits in line. */
export class Gate {
  isShut = false
  readonly #waiting: (() => void)[] = []

  get waiting(): number {
    return this.#waiting.length
  }

  shut(): void {
    this.isShut = true
  }

  /** Lets the first ones in line go. */
  letGo(count = 1): void {
    for (const go of this.#waiting.splice(0, count)) go()
  }

  open(): void {
    this.isShut = false
    this.letGo(this.#waiting.length)
  }

  async pass(): Promise<void> {
    if (this.isShut) await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }
}

/** Commits take effect in the order they were made, when their gate lets them. */
export class ScriptedStorage implements StreamStorage {
  readonly traits: StorageTraits
  generation = 0
  readonly inner: StreamStorage
  script: StorageScript
  /** In front of the store: nothing has happened yet. */
  readonly commits: Gate = new Gate()
  /** Behind it: it has happened, but the answer is on its way. */
  readonly answers: Gate = new Gate()
  readonly loads: Gate = new Gate()
  readonly reads: Gate = new Gate()
  /** The batches that came, each with the number of commits in it. */
  readonly batches: number[] = []
  readonly readRanges: OwnRange[] = []
  readonly loaded: StreamPath[] = []
  unitsAsked = 0
  isClosed = false

  constructor(script: StorageScript = {}) {
    this.script = script
    this.inner = script.inner ?? memoryStorage()
    this.traits = {
      durable: true,
      sharedBetweenProcesses: false,
      gathersCommits: script.synchronous !== true,
      ...script.traits,
    }
  }

  load(paths: readonly StreamPath[]): Eventual<readonly (VersionedState | undefined)[]> {
    this.loaded.push(...paths)
    return this.#answer(this.loads, () => {
      this.script.beforeLoad?.(paths)
      return this.inner.load(paths)
    })
  }

  commit(batch: readonly Commit[]): Eventual<readonly CommitResult[]> {
    this.batches.push(batch.length)
    if (this.script.synchronous) return this.#applyNow(batch)
    return this.#commitLater(batch)
  }

  read(range: OwnRange): Eventual<readonly Uint8Array[]> {
    this.readRanges.push(range)
    return this.#answer(this.reads, () => {
      this.script.beforeRead?.(range.id)
      return this.inner.read(range)
    })
  }

  unitAt(id: StreamId, position: number): Eventual<AppendUnit> {
    this.unitsAsked++
    return this.#answer(this.reads, () => {
      this.script.beforeRead?.(id)
      return this.inner.unitAt(id, position)
    })
  }

  touch(touches: readonly Touch[]): void {
    this.script.beforeTouch?.()
    this.inner.touch(touches)
  }

  list(prefix: string, after: StreamPath | undefined, limit: number): Eventual<readonly StreamSummary[]> {
    return this.inner.list(prefix, after, limit)
  }

  due(atOrBeforeMs: number, limit: number): Eventual<readonly DueEntry[]> {
    return this.#answer(undefined, () => {
      this.script.beforeDue?.()
      return this.inner.due(atOrBeforeMs, limit)
    })
  }

  async close(): Promise<void> {
    this.isClosed = true
    await this.inner.close()
  }

  #answer<T>(gate: Gate | undefined, call: () => Eventual<T>): Eventual<T> {
    if (this.script.synchronous && gate?.isShut !== true) return call()
    return (gate?.pass() ?? Promise.resolve()).then(call)
  }

  async #commitLater(batch: readonly Commit[]): Promise<readonly CommitResult[]> {
    await this.commits.pass()
    const refused = new Set<StreamPath>()
    const results: CommitResult[] = []
    for (const [at, commit] of batch.entries()) {
      results.push(noted(refused, commit, await this.#applyOne(refused, commit, at)))
    }
    await this.answers.pass()
    return results
  }

  #applyNow(batch: readonly Commit[]): readonly CommitResult[] {
    const refused = new Set<StreamPath>()
    return batch.map((commit, at) => {
      const result = this.#applyOne(refused, commit, at)
      if (result instanceof Promise) throw new Error('a synchronous store has a synchronous one inside')
      return noted(refused, commit, result)
    })
  }

  #applyOne(refused: ReadonlySet<StreamPath>, commit: Commit, at: number): Eventual<CommitResult> {
    if (commit.changes.some(({ path }) => refused.has(path))) return 'conflict'
    const fate = this.script.fateOf?.(commit, at) ?? 'apply'
    switch (fate) {
      case 'conflict':
      case 'full':
        return fate
      case 'lost':
        return 'unknown'
      case 'kept':
        return first(this.inner.commit([commit]), () => 'unknown')
      case 'apply':
        return first(this.inner.commit([commit]), (result) => result)
    }
  }
}

/** What was decided on top of a commit that did not happen does not happen either. */
function noted(refused: Set<StreamPath>, commit: Commit, result: CommitResult): CommitResult {
  if (result !== 'durable') for (const { path } of commit.changes) refused.add(path)
  return result
}

function first(
  results: Eventual<readonly CommitResult[]>,
  use: (result: CommitResult) => CommitResult,
): Eventual<CommitResult> {
  const take = ([result]: readonly CommitResult[]): CommitResult => {
    if (result === undefined) throw new Error('the inner store answered nothing')
    return use(result)
  }
  return results instanceof Promise ? results.then(take) : take(results)
}
