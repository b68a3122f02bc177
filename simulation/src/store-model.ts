/**
 * What the store has been told and has promised: every commit in order, exactly what must be found after a crash,
 * and what may be found besides. Written without a look at how the store does it.
 */
import type { Commit, CommitResult, StateChange } from '@millrace/engine'
import { evolve, ownFrom, type StreamId, type StreamPath, type StreamState } from '@millrace/protocol'
import { check } from './event-log.ts'

/** A stream as it must be. */
export interface ModelStream {
  readonly state: StreamState
  readonly version: number
}

/** Bytes of one append. */
export interface Piece {
  readonly at: number
  readonly bytes: Buffer
  readonly op: number | undefined
}

/** Where the bytes of an operation went. */
export interface OpPlace {
  readonly id: StreamId
  readonly at: number
  readonly to: number
}

type Streams = Map<StreamPath, ModelStream>

/** Everything promised, and everything that may have happened. */
export class StoreModel {
  streams: Streams = new Map()
  readonly pieces: Map<StreamId, Piece[]> = new Map()
  readonly opPlaces: Map<number, OpPlace[]> = new Map()
  /** Promised only as far as the process lives: acknowledged, but not known to be synced. */
  #unsynced: Commit[] = []
  #floor: Streams = new Map()
  /** Given to the store without an answer, or with a failure. */
  #maybe: readonly Commit[] = []
  #hasFailed = false
  readonly isFast: boolean
  /** Changes whenever what `acknowledged` counts starts anew. */
  generation = 0

  /** Every state that a stream has ever been in, of each path. */
  readonly #past = new Map<StreamPath, Set<string>>()

  readonly #remembers: boolean

  /** `remembers`: past states are to be known again, see `hasBeen`. */
  constructor(isFast: boolean, remembers: boolean) {
    this.isFast = isFast
    this.#remembers = remembers
  }

  /** From now on all that was given to the store counts as having been there. */
  believeAll(): void {
    const refused = new Set<StreamPath>()
    for (const commit of this.#maybe) if (fitsOn(this.streams, commit, refused)) this.#applyForReal(commit)
    this.#maybe = []
  }

  /** Whether a stream was in this state at some time. */
  hasBeen(path: StreamPath, found: ModelStream): boolean {
    return this.#past.get(path)?.has(comparable(found)) === true
  }

  /** Paths that have had a stream at some time. */
  get pathsEver(): readonly StreamPath[] {
    return [...this.#past.keys()]
  }

  /** A batch goes to the store. */
  begin(batch: readonly Commit[]): void {
    if (!this.#hasFailed) this.#maybe = batch
  }

  /** The store has failed with a batch under way: it may have happened; nothing later does. */
  fail(): void {
    this.#hasFailed = true
  }

  /** The store's answer. */
  settle(batch: readonly Commit[], results: readonly CommitResult[]): void {
    this.#maybe = []
    const refused = new Set<StreamPath>()
    for (const [order, commit] of batch.entries()) {
      const result = results[order]
      const fits = fitsOn(this.streams, commit, refused)
      check(result !== 'unknown', () => 'the store answered unknown')
      check(result !== 'durable' || fits, () => `a commit was taken on outdated versions: ${inShort(commit)}`)
      check(result !== 'conflict' || !fits, () => `a commit conflicts with nothing: ${inShort(commit)}`)
      if (result !== 'durable') {
        for (const { path } of commit.changes) refused.add(path)
        continue
      }
      this.#applyForReal(commit)
      if (this.isFast) this.#unsynced.push(commit)
      else this.#floor = this.streams
    }
  }

  /** Everything acknowledged is known to have been synced. */
  synced(): void {
    this.#floor = this.streams
    this.#unsynced = []
    this.generation++
  }

  get acknowledged(): number {
    return this.#unsynced.length
  }

  /** Everything up to an earlier value of `acknowledged` is synced. */
  syncedUpTo(count: number): void {
    let floor = this.#floor
    for (const commit of this.#unsynced.slice(0, count)) floor = applied(floor, commit)
    this.#floor = floor
    this.#unsynced = this.#unsynced.slice(count)
    this.generation++
  }

  /**
   * Finds what a recovered store has among all it may have, and takes that as the truth from now on. Returns what is
   * wrong, or `undefined`. If the disk was short of room, commits under way that make some may be there although one
   * before them was left out.
   */
  recover(
    kind: 'power' | 'process',
    actual: ReadonlyMap<StreamPath, ModelStream>,
    wasShort: boolean,
  ): string | undefined {
    const must = kind === 'power' && this.isFast ? 0 : this.#unsynced.length
    const maybe = this.#maybe
    const plain = [...this.#unsynced, ...maybe]
    const wrong = this.#find(plain, must, actual)
    if (wrong === undefined || !wasShort) return wrong
    const others = maybe.map((_, stuck) => [
      ...this.#unsynced,
      ...maybe.slice(0, stuck),
      ...maybe.slice(stuck + 1).filter(makesRoom),
    ])
    return others.some((history) => this.#find(history, must, actual) === undefined) ? undefined : wrong
  }

  /** Looks for the first part of a history that a recovered store has, and adopts it. */
  #find(
    history: readonly Commit[],
    must: number,
    actual: ReadonlyMap<StreamPath, ModelStream>,
  ): string | undefined {
    let streams = this.#floor
    let found: number | undefined
    let difference = ''
    const refused = new Set<StreamPath>()
    for (let count = 0; count <= history.length; count++) {
      const commit = history[count - 1]
      if (commit !== undefined) {
        if (!fitsOn(streams, commit, refused)) continue
        streams = applied(streams, commit)
      }
      if (count < must) continue
      const here = firstDifference(streams, actual)
      if (here === undefined) found = count
      else difference += `\n  with ${count} of ${history.length} (${must} must be there): ${here}`
    }
    if (found === undefined) return `what was recovered is no state that it can be:${difference}`
    this.#adopt(history, found)
    return undefined
  }

  /** Paths that ever had a stream. */
  get paths(): readonly StreamPath[] {
    return [...this.streams.keys()]
  }

  /** One stream's own bytes from a position on. */
  ownBytes(id: StreamId, from: number, to: number): Buffer {
    const parts: Buffer[] = []
    for (const piece of this.pieces.get(id) ?? []) {
      const start = Math.max(from, piece.at)
      const end = Math.min(to, piece.at + piece.bytes.length)
      if (start < end) parts.push(piece.bytes.subarray(start - piece.at, end - piece.at))
    }
    return Buffer.concat(parts)
  }

  /** What a reader of a stream must see between two positions. */
  bytesOf(state: StreamState, from: number, to: number): Buffer {
    const own = ownFrom(state)
    const inherited = (state.fork?.inherited ?? []).map((range) =>
      this.ownBytes(range.id, Math.max(range.from, from), Math.min(range.to, to)),
    )
    return Buffer.concat([...inherited, this.ownBytes(state.id, Math.max(own, from), to)])
  }

  #adopt(history: readonly Commit[], found: number): void {
    this.streams = this.#floor
    const known = new Set(this.#unsynced.slice(0, found))
    for (const lost of this.#unsynced.slice(found)) this.#forget(lost)
    const refused = new Set<StreamPath>()
    for (const commit of history.slice(0, found)) {
      if (known.has(commit)) this.streams = applied(this.streams, commit)
      else if (fitsOn(this.streams, commit, refused)) this.#applyForReal(commit)
    }
    this.#maybe = []
    this.#hasFailed = false
    this.synced()
  }

  #applyForReal(commit: Commit): void {
    for (const change of commit.changes) {
      const before = this.streams.get(change.path)?.state
      if (change.payload === undefined) continue
      const tail = before?.tail ?? (change.next ? ownFrom(change.next) : 0)
      check(
        change.payloadAt === tail,
        () => `offset ${change.payloadAt} of ${change.path} is given twice; its tail is ${tail}`,
      )
      this.#keep(change, Buffer.from(change.payload))
    }
    this.streams = applied(this.streams, commit)
    for (const { path } of commit.changes) this.#remember(path)
  }

  #remember(path: StreamPath): void {
    const now = this.streams.get(path)
    if (!this.#remembers || now === undefined) return
    const past = this.#past.get(path) ?? new Set()
    this.#past.set(path, past.add(comparable(now)))
  }

  #keep(change: StateChange, bytes: Buffer): void {
    const pieces = this.pieces.get(change.id) ?? []
    const op = opOf(bytes)
    pieces.push({ at: change.payloadAt, bytes, op })
    this.pieces.set(change.id, pieces)
    if (op === undefined) return
    const places = this.opPlaces.get(op) ?? []
    check(!places.some(({ id }) => id === change.id), () => `operation ${op} is in ${change.path} twice`)
    this.opPlaces.set(op, [
      ...places,
      { id: change.id, at: change.payloadAt, to: change.payloadAt + bytes.length },
    ])
  }

  #forget(commit: Commit): void {
    for (const { id, payload, payloadAt } of commit.changes) {
      if (payload === undefined) continue
      const kept = (this.pieces.get(id) ?? []).filter(({ at }) => at !== payloadAt)
      this.pieces.set(id, kept)
      const op = opOf(Buffer.from(payload))
      if (op !== undefined)
        this.opPlaces.set(
          op,
          (this.opPlaces.get(op) ?? []).filter((place) => place.id !== id),
        )
    }
  }
}

/** The operation that bytes belong to. */
export function opOf(bytes: Buffer): number | undefined {
  const match = /^(?:<|\{"op":)([0-9]+)/.exec(bytes.toString('latin1', 0, 24))
  return match?.[1] === undefined ? undefined : Number(match[1])
}

/** Whether a commit stores nothing new: on a full disk it finds room where others do not. */
function makesRoom(commit: Commit): boolean {
  return commit.changes.every(({ payload, version }) => payload === undefined && version > 0)
}

/**
 * Whether a commit was decided on what there is. `refused` has the paths of commits of the batch that did not happen: a
 * version on top of one of them may be the number of another change, which this commit does not know.
 */
function fitsOn(streams: Streams, commit: Commit, refused: Set<StreamPath>): boolean {
  const fits = commit.changes.every(({ path, version, id }) => {
    const known = streams.get(path)
    const isCurrent = (known?.version ?? 0) === version && (known === undefined || known.state.id === id)
    return isCurrent && !refused.has(path)
  })
  if (!fits) for (const { path } of commit.changes) refused.add(path)
  return fits
}

function applied(streams: Streams, commit: Commit): Streams {
  const result = new Map(streams)
  for (const { path, events, version } of commit.changes) {
    let state = result.get(path)?.state
    for (const event of events) state = evolve(state, event)
    if (state === undefined) result.delete(path)
    else result.set(path, { state, version: version + 1 })
  }
  return result
}

/** Touches are not promised: the last access is left out. */
function comparable({ state, version }: ModelStream): string {
  const { producers, lastAccessMs: _, ...rest } = state
  const entries = [...producers.entries()].sort(([a], [b]) => (a < b ? -1 : 1))
  return JSON.stringify({
    version,
    rest: sorted(rest),
    entries: entries.map(([id, e]) => [id, e.epoch, e.lastSeq, e.updatedAtMs]),
  })
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, one]) => one !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, one]) => [key, sorted(one)]),
  )
}

function firstDifference(
  expected: Streams,
  actual: ReadonlyMap<StreamPath, ModelStream>,
): string | undefined {
  for (const path of new Set([...expected.keys(), ...actual.keys()])) {
    const wanted = expected.get(path)
    const got = actual.get(path)
    const [one, other] = [wanted && comparable(wanted), got && comparable(got)]
    if (one !== other) return `${path}: expected ${one}\n    found ${other}`
    const lastAccessMs = got?.state.lastAccessMs ?? 0
    if (lastAccessMs < (wanted?.state.lastAccessMs ?? 0)) return `${path}: its last access went back`
  }
  return undefined
}

/** A commit in a line. */
export function inShort(commit: Commit): string {
  return commit.changes
    .map(({ path, id, version, events, payload, payloadAt }) => {
      const what = events.map(({ kind }) => kind).join('+')
      const bytes =
        payload === undefined ? '' : ` ${opOf(Buffer.from(payload))}@${payloadAt}+${payload.length}`
      return `${path}/${id} v${version} ${what}${bytes}`
    })
    .join(', ')
}
