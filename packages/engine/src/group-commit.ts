/**
 * Group commit: while the store is busy with one batch, the next one gathers; no timer is involved. Batches settle
 * in order, so a commit that is durable has everything it was decided on durable before it.
 */
import type { StreamPath } from '@millrace/protocol'
import type { Clock } from './clock.ts'
import type { Commit, CommitResult, StreamStorage } from './storage.ts'

/** A commit on its way. Listeners run in the turn it settles, in the order they came. */
export class Ticket {
  readonly commit: Commit
  readonly #listeners: ((settled: Settled) => void)[] = []
  settled: Settled | undefined

  constructor(commit: Commit) {
    this.commit = commit
  }

  onSettled(listener: (settled: Settled) => void): void {
    if (this.settled) listener(this.settled)
    else this.#listeners.push(listener)
  }

  /** What became of it. */
  outcome(): Promise<Settled> {
    return new Promise((resolve) => this.onSettled(resolve))
  }

  settle(settled: Settled): void {
    this.settled = settled
    for (const listener of this.#listeners) listener(settled)
  }
}

/** How a commit ended: the store's verdict, or the error with which the store failed. */
export type Settled =
  | { readonly kind: 'result'; readonly result: CommitResult }
  | { readonly kind: 'failed'; readonly error: unknown }

const DURABLE: Settled = { kind: 'result', result: 'durable' }
const CONFLICT: Settled = { kind: 'result', result: 'conflict' }

function payloadBytes(commit: Commit): number {
  let size = 0
  for (const change of commit.changes) size += change.payload?.length ?? 0
  return size
}

/** Feeds commits to the store. */
export class GroupCommit {
  readonly #storage: StreamStorage
  readonly #clock: Clock
  #gathered: Ticket[] = []
  #isBusy = false
  #pendingCommits = 0
  #pendingBytes = 0
  #whenIdle: (() => void)[] = []

  constructor(storage: StreamStorage, clock: Clock) {
    this.#storage = storage
    this.#clock = clock
  }

  /** Commits that are not settled yet. */
  get pendingCommits(): number {
    return this.#pendingCommits
  }

  /** Payload bytes of these. */
  get pendingBytes(): number {
    return this.#pendingBytes
  }

  /** Takes a commit into the next batch. With a store that has no use for gathering it is settled on return. */
  submit(ticket: Ticket): void {
    this.#gathered.push(ticket)
    this.#pendingCommits++
    this.#pendingBytes += payloadBytes(ticket.commit)
    if (this.#isBusy) return
    if (!this.#storage.traits.gathersCommits) {
      this.#flush()
      return
    }
    this.#isBusy = true
    this.#clock.defer(() => this.#flush())
  }

  /** Resolves when nothing is on its way. */
  whenIdle(): Promise<void> {
    if (this.#pendingCommits === 0) return Promise.resolve()
    return new Promise((resolve) => this.#whenIdle.push(resolve))
  }

  #flush(): void {
    this.#isBusy = true
    while (this.#gathered.length > 0) {
      const batch = this.#gathered
      this.#gathered = []
      let results: readonly CommitResult[] | Promise<readonly CommitResult[]>
      try {
        results = this.#storage.commit(batch.map((ticket) => ticket.commit))
      } catch (error) {
        this.#fail(batch, error)
        continue
      }
      if (results instanceof Promise) {
        results.then(
          (settled) => this.#settleThenFlush(() => this.#settle(batch, settled)),
          (error) => this.#settleThenFlush(() => this.#fail(batch, error)),
        )
        return
      }
      this.#settle(batch, results)
    }
    this.#isBusy = false
    if (this.#pendingCommits > 0) return
    const idle = this.#whenIdle
    this.#whenIdle = []
    for (const resolve of idle) resolve()
  }

  #settleThenFlush(settle: () => void): void {
    settle()
    this.#flush()
  }

  #settle(batch: readonly Ticket[], results: readonly CommitResult[]): void {
    this.#settleAll(batch, (at) => {
      const result = results[at]
      if (result === 'durable') return DURABLE
      if (result !== undefined) return { kind: 'result', result }
      const error = new Error('the store answered for fewer commits than it was given')
      return { kind: 'failed', error }
    })
  }

  #fail(batch: readonly Ticket[], error: unknown): void {
    this.#settleAll(batch, () => ({ kind: 'failed', error }))
  }

  /** In order, those that rest on the batch after it: so commands that are judged again keep their order. */
  #settleAll(batch: readonly Ticket[], verdict: (at: number) => Settled): void {
    const refused = new Set<StreamPath>()
    for (const [at, ticket] of batch.entries()) {
      const settled = verdict(at)
      if (settled !== DURABLE) for (const { path } of ticket.commit.changes) refused.add(path)
      this.#release(ticket, settled)
    }
    if (refused.size > 0) this.#giveUpOn(refused)
  }

  /** What was decided on top of a commit that did not happen is never offered to the store. */
  #giveUpOn(refused: Set<StreamPath>): void {
    const given: Ticket[] = []
    const kept: Ticket[] = []
    for (const one of this.#gathered) {
      const rests = one.commit.changes.some(({ path }) => refused.has(path))
      if (rests) for (const { path } of one.commit.changes) refused.add(path)
      const list = rests ? given : kept
      list.push(one)
    }
    this.#gathered = kept
    for (const one of given) this.#release(one, CONFLICT)
  }

  #release(ticket: Ticket, settled: Settled): void {
    this.#pendingCommits--
    this.#pendingBytes -= payloadBytes(ticket.commit)
    ticket.settle(settled)
  }
}
