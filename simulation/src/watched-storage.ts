/** A store that tells the model what it is given and what it answers; everything else passes through. */
import type {
  AppendUnit,
  Commit,
  CommitResult,
  DueEntry,
  Eventual,
  StorageTraits,
  StreamStorage,
  StreamSummary,
  Touch,
  VersionedState,
} from '@millrace/engine'
import type { OwnRange, StreamId, StreamPath } from '@millrace/protocol'
import { inShort, type StoreModel } from './store-model.ts'
import type { Tally } from './tally.ts'

/** What the watcher reports to. */
export interface CommitWatch {
  readonly model: StoreModel
  /** False once a crash has ended the process that the store belongs to. */
  isAlive(): boolean
  note(line: string): void
  readonly tally: Tally
  /** Something is wrong that was found inside a promise: the run must end. */
  failed(error: unknown): void
}

/** Watches the commits of one store. */
export class WatchedStorage implements StreamStorage {
  readonly traits: StorageTraits
  readonly generation: number
  readonly #inner: StreamStorage
  readonly #watch: CommitWatch

  constructor(inner: StreamStorage, watch: CommitWatch) {
    this.traits = inner.traits
    this.generation = inner.generation
    this.#inner = inner
    this.#watch = watch
  }

  load(paths: readonly StreamPath[]): Eventual<readonly (VersionedState | undefined)[]> {
    return this.#inner.load(paths)
  }

  async commit(batch: readonly Commit[]): Promise<readonly CommitResult[]> {
    const { model, note } = this.#watch
    const kept = batch.map(copyOf)
    for (const commit of kept) note(`commit ${inShort(commit)}`)
    model.begin(kept)
    let results: readonly CommitResult[]
    try {
      results = await this.#inner.commit(batch)
    } catch (error) {
      if (this.#watch.isAlive()) {
        note(`commit failed: ${String(error)}`)
        model.fail()
      }
      throw error
    }
    if (!this.#watch.isAlive()) return results
    note(`commit is ${results.join(' ')}`)
    this.#count(kept, results)
    try {
      model.settle(kept, results)
    } catch (error) {
      this.#watch.failed(error)
    }
    return results
  }

  #count(batch: readonly Commit[], results: readonly CommitResult[]): void {
    for (const [order, { changes }] of batch.entries()) {
      if (results[order] !== 'durable') continue
      for (const { kind } of changes.flatMap(({ events }) => events)) this.#watch.tally.add('events', kind)
    }
  }

  read(range: OwnRange): Eventual<readonly Uint8Array[]> {
    return this.#inner.read(range)
  }

  unitAt(id: StreamId, position: number): Eventual<AppendUnit> {
    return this.#inner.unitAt(id, position)
  }

  touch(touches: readonly Touch[]): void {
    this.#inner.touch(touches)
  }

  list(prefix: string, after: StreamPath | undefined, limit: number): Eventual<readonly StreamSummary[]> {
    return this.#inner.list(prefix, after, limit)
  }

  due(atOrBeforeMs: number, limit: number): Eventual<readonly DueEntry[]> {
    return this.#inner.due(atOrBeforeMs, limit)
  }

  close(): Promise<void> {
    return this.#inner.close()
  }
}

function copyOf(commit: Commit): Commit {
  return {
    changes: commit.changes.map((change) => ({
      ...change,
      payload: change.payload && Buffer.from(change.payload),
    })),
  }
}
