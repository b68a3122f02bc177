/**
 * The file store: journal, layers in memory, blocks and home as one `StreamStorage`. A failed write or sync poisons
 * it: reads go on, writes are refused, and what happened is found out from the disk at the next start, never from
 * memory.
 */
import {
  type AppendUnit,
  type Clock,
  type Commit,
  type CommitResult,
  type DueEntry,
  type Eventual,
  Fault,
  type StateChange,
  type StorageTraits,
  type StreamStorage,
  type StreamSummary,
  type Timer,
  type Touch,
  type Usage,
  type VersionedState,
} from '@millrace/engine'
import type { OwnRange, StreamId, StreamPath } from '@millrace/protocol'
import type { BlockFiles } from './block-files.ts'
import { writeLayer } from './checkpoint.ts'
import { closeAll } from './close-all.ts'
import { storesNothing, writeCommits } from './commit-writer.ts'
import { type Disk, DiskFull, type DiskLock } from './disk.ts'
import type { DiskReserve } from './disk-reserve.ts'
import { fittingCommits } from './fitting-commits.ts'
import type { Home } from './home.ts'
import type { Journal } from './journal.ts'
import { entryAbove, Layer, type LayerEntry, withAccessOf } from './layer.ts'
import type { StoreLimits } from './limits.ts'
import { listStreams, streamsDue } from './listing.ts'
import { reclaim } from './reclaim.ts'
import { encodeTouches } from './record-codec.ts'
import { settlesWithin } from './room-wait.ts'
import { endRun } from './run-marks.ts'
import { Snapshots, type StoreSnapshot } from './snapshot.ts'
import { StoredEntries } from './stored-entries.ts'
import { usageOf } from './stored-usage.ts'
import { type ReadSources, readOwn, unitAround } from './stream-reader.ts'

/** When an append is answered. */
export type Durability = 'file-durable' | 'file-fast'

/** The parts of a store, opened and recovered. */
export interface StoreParts {
  readonly disk: Disk
  readonly lock: DiskLock
  readonly home: Home
  readonly blocks: BlockFiles
  readonly journal: Journal
  readonly limits: StoreLimits
  readonly reserve: DiskReserve
  readonly durability: Durability
  readonly generation: number
  readonly clock: Clock
  /** What recovery replayed; the first checkpoint writes it down. */
  readonly replayed: Layer
  /** Told once, when the store stops taking writes. */
  readonly onPoisoned: (error: unknown) => void
}

/** A store with the operations that only files have. */
export interface FileStore extends StreamStorage {
  /** `undefined` for a directory that was made before streams were counted. */
  usage(): Usage | undefined
  /** Moves everything into blocks and home, so that the next start has nothing to replay. */
  checkpoint(): Promise<void>
  /** The state of now, to be copied while the store goes on. One at a time: throws `SnapshotBusy`. */
  beginSnapshot(): Promise<StoreSnapshot>
  /** Why writes are refused; `undefined` while all is well. */
  readonly poison: Error | undefined
}

/** Makes a store of its parts. */
export function createFileStore(parts: StoreParts): FileStore {
  return new OpenFileStore(parts)
}

class OpenFileStore implements FileStore {
  readonly traits: StorageTraits = { durable: true, sharedBetweenProcesses: false, gathersCommits: true }
  readonly generation: number
  readonly #parts: StoreParts
  readonly #sources: ReadSources
  readonly #snapshots: Snapshots
  #active: Layer
  #frozen: Layer | undefined
  #checkpointing: Promise<void> | undefined
  #checkpointTimer: Timer | undefined
  #syncTimer: Timer | undefined
  #touches = new Map<StreamPath, Touch>()
  readonly #stored: StoredEntries
  #writing: Promise<unknown> = Promise.resolve()
  #isClosed = false
  /** A snapshot held files back: the next checkpoint reclaims, whether there is anything to write or not. */
  #isReclaimDue = false
  /** The newest checkpoint found no room. */
  #isDiskFull = false
  poison: Error | undefined

  constructor(parts: StoreParts) {
    this.#parts = parts
    this.generation = parts.generation
    this.#active = parts.replayed
    this.#stored = new StoredEntries(parts.home)
    this.#sources = { home: parts.home, blocks: parts.blocks, layers: () => this.#layers() }
    this.#snapshots = new Snapshots({
      ...parts,
      readBlocks: (file, at, length) => parts.blocks.readRaw(file, at, length),
      whileSettled: (work) => this.#whileSettled(work),
      onReleased: () => {
        this.#isReclaimDue = true
        this.#scheduleCheckpoint()
      },
    })
    if (this.#active.records > 0 || parts.reserve.isSpent) this.#checkpointIfLarge()
  }

  load(paths: readonly StreamPath[]): readonly (VersionedState | undefined)[] {
    return paths.map((path) => {
      const { state, version } = this.#entry(path)
      return state && { state, version }
    })
  }

  async commit(batch: readonly Commit[]): Promise<readonly CommitResult[]> {
    const turn = this.#writing.then(() => this.#commitInTurn(batch))
    this.#writing = turn.catch(() => undefined)
    return turn
  }

  read(range: OwnRange): Eventual<readonly Uint8Array[]> {
    return readOwn(this.#sources, range)
  }

  unitAt(id: StreamId, position: number): Promise<AppendUnit> {
    return unitAround(this.#sources, id, position)
  }

  touch(touches: readonly Touch[]): void {
    if (this.#isClosed) return
    for (const touch of touches) {
      const entry = entryAbove(this.#frozen, touch.path, this.#entry(touch.path))
      if (entry.state?.id !== touch.id) continue
      this.#active.touch(touch, entry)
      this.#touches.set(touch.path, touch)
    }
    if (this.#touches.size > 0) this.#scheduleSync()
  }

  list(prefix: string, after: StreamPath | undefined, limit: number): readonly StreamSummary[] {
    return listStreams(this.#sources, prefix, after, limit)
  }

  usage(): Usage | undefined {
    return usageOf(this.#sources)
  }

  due(atOrBeforeMs: number, limit: number): readonly DueEntry[] {
    return streamsDue(this.#sources, atOrBeforeMs, limit)
  }

  refusesWrites(): string | undefined {
    if (this.poison === undefined) return undefined
    return 'A write to the data directory failed: writes are refused until the server is started again.'
  }

  async checkpoint(): Promise<void> {
    while (this.#checkpointing !== undefined) await this.#checkpointing
    // Twice where one that found the disk full comes first.
    for (let turn = 0; turn < 2; turn++) {
      this.#startCheckpoint()
      await this.#checkpointing
    }
  }

  beginSnapshot(): Promise<StoreSnapshot> {
    return this.#snapshots.begin()
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#checkpointTimer?.cancel()
    this.#syncTimer?.cancel()
    const { journal, blocks, home, lock } = this.#parts
    try {
      await this.#writing
      if (this.poison === undefined) {
        await this.#flushTouches()
        await this.checkpoint()
        if (this.#active.entries.size === 0 && this.#frozen === undefined) await endRun(home)
      }
    } finally {
      await closeAll([this.#snapshots, journal, blocks, home, { close: () => lock.release() }])
    }
  }

  /** The newest state of a path, wherever it is. */
  #entry(path: StreamPath): LayerEntry {
    return this.#active.entries.get(path) ?? this.#frozen?.entries.get(path) ?? this.#stored.get(path)
  }

  #layers(): readonly Layer[] {
    return this.#frozen === undefined ? [this.#active] : [this.#active, this.#frozen]
  }

  async #commitInTurn(batch: readonly Commit[]): Promise<readonly CommitResult[]> {
    this.#refuseIfPoisoned()
    const room = batch.every(storesNothing) ? 'room' : await this.#waitForRoom()
    const results: CommitResult[] = batch.map(() => 'conflict')
    const fitting = fittingCommits(batch, room === 'room', (path) => this.#entry(path))
    if (room !== 'room') {
      for (const [at, commit] of batch.entries()) if (!storesNothing(commit)) results[at] = room
    }
    const { journal, durability } = this.#parts
    const written = await this.#guarded(async () => {
      const written = await writeCommits(
        journal,
        fitting.map(({ commit }) => commit),
      )
      if (durability === 'file-durable') await journal.sync()
      return written
    })
    if (durability === 'file-fast') this.#scheduleSync()
    for (const [order, { commit, at }] of fitting.entries()) {
      results[at] = written[order] ?? 'full'
      if (results[at] !== 'durable') continue
      for (const change of commit.changes) this.#apply(change)
      this.#active.records++
    }
    this.#active.sequence = journal.sequence
    this.#checkpointIfLarge()
    return results
  }

  #apply(change: StateChange): void {
    const before = entryAbove(this.#frozen, change.path, this.#entry(change.path))
    this.#active.apply(change, before, withAccessOf(before.state, change.next))
  }

  /** Runs an effect whose failure leaves the disk in a state that memory cannot know. */
  async #guarded<T>(effect: () => Promise<T>): Promise<T> {
    try {
      return await effect()
    } catch (error) {
      this.#setPoison(error)
      throw new Fault('unavailable', 'The store failed to write and takes no more writes.', error)
    }
  }

  #setPoison(error: unknown): void {
    if (this.poison !== undefined) return
    this.poison = error instanceof Error ? error : new Error(String(error))
    this.#parts.onPoisoned(error)
  }

  #refuseIfPoisoned(): void {
    if (this.poison === undefined) return
    throw new Fault('unavailable', 'The store failed to write earlier and takes no more writes.', this.poison)
  }

  /** At the memory bound appends wait for the checkpoint under way, but not for ever. */
  async #waitForRoom(): Promise<'room' | 'full' | 'busy'> {
    const { clock, limits, reserve } = this.#parts
    if (reserve.isSpent) return 'full'
    const untilMs = clock.elapsedMs() + limits.roomWaitMs
    while (!this.#isBelowBound()) {
      if (this.#checkpointing === undefined) this.#startCheckpoint()
      const isOver = await settlesWithin(this.#checkpointing, untilMs - clock.elapsedMs(), clock)
      this.#refuseIfPoisoned()
      if (!isOver) return 'busy'
      if (this.#isDiskFull) return this.#isBelowBound() ? 'room' : 'full'
    }
    return 'room'
  }

  #isBelowBound(): boolean {
    const used = this.#active.payloadBytes + (this.#frozen?.payloadBytes ?? 0)
    return used < this.#parts.limits.maxTailBytes
  }

  #checkpointIfLarge(): void {
    const { limits, journal } = this.#parts
    const isLarge =
      this.#active.payloadBytes >= limits.checkpointBytes ||
      this.#active.records >= limits.checkpointRecords ||
      journal.sizeBytes >= 4 * limits.segmentBytes
    if (isLarge && this.#checkpointing === undefined) this.#startCheckpoint()
    else this.#scheduleCheckpoint()
  }

  #scheduleCheckpoint(): void {
    if (this.#checkpointTimer !== undefined || this.#isClosed) return
    this.#checkpointTimer = this.#parts.clock.setTimer(this.#parts.limits.checkpointAfterMs, () => {
      this.#checkpointTimer = undefined
      if (this.#checkpointing === undefined) this.#startCheckpoint()
    })
  }

  /** Freezes the newest layer and begins to write it down; or goes on with one that found the disk full. */
  #startCheckpoint(): void {
    if (this.poison !== undefined) return
    if (this.#frozen === undefined && !this.#active.isEmpty) {
      this.#frozen = this.#active
      this.#active = new Layer()
      this.#active.sequence = this.#frozen.sequence
    }
    if (this.#frozen === undefined && !this.#parts.reserve.isSpent && !this.#isReclaimDue) return
    this.#checkpointing = this.#checkpointFrozen(this.#frozen).finally(() => {
      this.#checkpointing = undefined
    })
  }

  /** Takes the place of a checkpoint: none runs, and none is half done, while the work does. */
  async #whileSettled<T>(work: () => Promise<T>): Promise<T> {
    await this.checkpoint()
    while (this.#checkpointing !== undefined) await this.#checkpointing
    this.#refuseIfPoisoned()
    if (this.#isClosed) throw new Fault('unavailable', 'The store is closed.')
    if (this.#frozen !== undefined) throw new DiskFull('no room to write down what is in memory')
    const done = work()
    const over = (): void => {
      this.#checkpointing = undefined
    }
    this.#checkpointing = done.then(over, over)
    return done
  }

  /** A full disk poisons nothing: the layer stays where it is, in the journal and in memory, and is tried again. */
  async #checkpointFrozen(layer: Layer | undefined): Promise<void> {
    this.#isDiskFull = false
    try {
      await this.#runCheckpoint(layer)
    } catch (error) {
      if (await this.#hasMoreRoom(error)) await this.#checkpointFrozen(this.#frozen)
    }
  }

  /** After a checkpoint that failed: whether it was for want of room, and the reserve now gives it some. */
  async #hasMoreRoom(error: unknown): Promise<boolean> {
    try {
      await this.#parts.blocks.abandon()
      if (!(error instanceof DiskFull)) throw error
      this.#isDiskFull = true
      if (await this.#parts.reserve.spend()) return true
      this.#scheduleCheckpoint()
    } catch (failure) {
      this.#setPoison(failure)
    }
    return false
  }

  async #runCheckpoint(layer: Layer | undefined): Promise<void> {
    const { journal, home, blocks, limits, disk, clock, reserve } = this.#parts
    const yieldTurn = (): Promise<void> => new Promise((resolve) => clock.defer(resolve))
    if (layer !== undefined) {
      // Home and blocks may hold only what the journal would give again.
      if (journal.synced < layer.sequence) await journal.sync()
      await writeLayer({ home, blocks, journal, limits, yieldTurn }, layer)
      this.#stored.clear()
      this.#frozen = undefined
      await journal.forget(layer.sequence)
    }
    this.#isReclaimDue = false
    await reclaim({ disk, home, blocks, limits, yieldTurn, isHeld: (file) => this.#snapshots.holds(file) })
    await reserve.hold()
  }

  /** Renewed windows, and with `file-fast` everything else, reach the disk within a second. */
  #scheduleSync(): void {
    if (this.#syncTimer !== undefined || this.#isClosed) return
    this.#syncTimer = this.#parts.clock.setTimer(this.#parts.limits.syncAfterMs, () => {
      this.#syncTimer = undefined
      const turn = this.#writing.then(() => this.#flushTouches())
      this.#writing = turn.catch(() => undefined)
    })
  }

  async #flushTouches(): Promise<void> {
    if (this.poison !== undefined) return
    const touches = [...this.#touches.values()]
    this.#touches.clear()
    const { journal } = this.#parts
    await this.#guarded(async () => {
      if (touches.length > 0) {
        await journal.append([{ meta: encodeTouches(touches), payloads: [], frees: false }])
        this.#active.records++
      }
      await journal.sync()
    })
    this.#active.sequence = journal.sequence
  }
}
