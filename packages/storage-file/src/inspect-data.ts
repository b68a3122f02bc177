/** Tells what is in a data directory: the home with the journal laid over it. Does not lock and changes nothing. */
import { dueAtMs, ownBytes, type StreamState } from '@millrace/protocol'
import { BLOCK_FOLDER, BlockFiles, blockFileName, blockFileNumber } from './block-files.ts'
import { blockFileSizes } from './block-walk.ts'
import { checkJournal, type SegmentSummary, segmentKnownTo } from './check-journal.ts'
import { ReplayedHome } from './check-replay.ts'
import type { Disk } from './disk.ts'
import type { CheckReport } from './finding.ts'
import type { ReadableHome } from './home.ts'
import { APPLIED_KEY, blockKey, blocksEnd, fileKey, prefixEnd, streamKey } from './home-keys.ts'
import { look, walkHome } from './home-walk.ts'
import { DEFAULT_STORE_LIMITS } from './limits.ts'
import { decodePlace, decodeStream, decodeUse, textOf } from './state-codec.ts'

/** One stream. Times are ISO 8601. */
export interface StreamRow {
  readonly path: string
  readonly contentType: string
  /** Position of the tail: the bytes a reader gets from the start, inherited ones included. */
  readonly tailBytes: number
  /** Bytes that are the stream's own. */
  readonly ownBytes: number
  /** Messages among its own bytes; only when they were asked for, which reads every block. */
  readonly messages?: number
  readonly closed: boolean
  /** Deleted, and kept for the forks that read from it. */
  readonly deleted: boolean
  /** Producers that are remembered. */
  readonly producers: number
  /** Forks that have it as their source. */
  readonly forks: number
  readonly forkedFrom?: string
  readonly forkedAt?: number
  /** Lowest position that may be read. */
  readonly base: number
  readonly createdAt: string
  readonly ttlSeconds?: number
  /** When it ends by itself, as far as is known. */
  readonly dueAt?: string
}

/** One block file. `liveBytes` of it are blocks of streams. */
export interface BlockFileRow {
  readonly file: string
  readonly sizeBytes: number
  readonly liveBytes: number
}

/** Everything but the streams one by one. */
export interface StoreOverview {
  readonly blockFiles: readonly BlockFileRow[]
  readonly journal: {
    readonly segments: readonly SegmentSummary[]
    /** Sequence of the newest record, and of the newest that the home holds. */
    readonly lastSequence: number
    readonly appliedSequence: number
    /** Bytes of records that the next start replays. */
    readonly pendingBytes: number
  }
  /** Of the streams that were asked for. */
  readonly streams: number
  readonly streamBytes: number
  /** Damage that was come across; `verify` says more. */
  readonly errors: number
}

/** What to tell. */
export interface InspectRequest {
  readonly prefix: string
  /** Streams told one by one; the counts are over all. */
  readonly limit: number
  readonly countMessages: boolean
}

/** Told the streams in order of their paths, a few at a time; the inspection goes on when it has resolved. */
export type StreamSink = (rows: readonly StreamRow[]) => Promise<void>

const ROWS = 128

/** Looks at everything; `report` is told of damage. */
export async function inspectData(
  disk: Disk,
  home: ReadableHome,
  request: InspectRequest,
  sink: StreamSink,
  report: CheckReport,
): Promise<StoreOverview> {
  let errors = 0
  const counting: CheckReport = {
    find: (finding) => {
      if (finding.severity === 'error') errors++
      report.find(finding)
    },
    count: () => undefined,
    progress: (bytes) => report.progress(bytes),
  }
  const looked = look(home, APPLIED_KEY)
  const applied = looked.kind === 'found' ? Number(textOf(looked.value)) : 0
  const replayed = new ReplayedHome(home, counting)
  const context = { disk, report: counting, applied, segment: segmentKnownTo(home) }
  const journal = await checkJournal({ ...context, apply: (record) => replayed.apply(record) })
  const streams = new StreamRows(disk, home, request, replayed, counting)
  const totals = await streams.tell(sink)
  return {
    blockFiles: await blockFileRows(disk, home),
    journal: {
      segments: journal.segments,
      lastSequence: Math.max(applied, journal.lastSequence ?? 0),
      appliedSequence: applied,
      pendingBytes: journal.segments.reduce((sum, { pendingBytes }) => sum + pendingBytes, 0),
    },
    ...totals,
    errors,
  }
}

async function blockFileRows(disk: Disk, home: ReadableHome): Promise<readonly BlockFileRow[]> {
  const numbers = (await disk.list(BLOCK_FOLDER)).flatMap((name) => blockFileNumber(name) ?? [])
  return [...(await blockFileSizes(disk, numbers))].map(([number, sizeBytes]) => {
    const looked = look(home, fileKey(number))
    const liveBytes = looked.kind === 'found' ? decodeUse(looked.value).liveBytes : 0
    return { file: blockFileName(number), sizeBytes, liveBytes }
  })
}

class StreamRows {
  readonly #home: ReadableHome
  readonly #request: InspectRequest
  readonly #replayed: ReplayedHome
  readonly #report: CheckReport
  readonly #blocks: BlockFiles
  #rows: StreamRow[] = []
  #told = 0
  #streams = 0
  #streamBytes = 0

  constructor(
    disk: Disk,
    home: ReadableHome,
    request: InspectRequest,
    replayed: ReplayedHome,
    report: CheckReport,
  ) {
    this.#home = home
    this.#request = request
    this.#replayed = replayed
    this.#report = report
    this.#blocks = new BlockFiles(disk, DEFAULT_STORE_LIMITS, 1)
  }

  async tell(sink: StreamSink): Promise<Pick<StoreOverview, 'streams' | 'streamBytes'>> {
    try {
      for await (const state of this.#statesInOrder()) await this.#add(state, sink)
      if (this.#rows.length > 0) await sink(this.#rows)
    } finally {
      await this.#blocks.close()
    }
    return { streams: this.#streams, streamBytes: this.#streamBytes }
  }

  /** Home and journal, merged; what the journal has is newer. */
  async *#statesInOrder(): AsyncIterableIterator<StreamState> {
    const { prefix } = this.#request
    const { entries } = this.#replayed.layer
    const newer = [...entries]
      .filter(([path]) => path.startsWith(prefix))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .flatMap(([, { state }]) => state ?? [])
    let next = 0
    const [from, to] = [streamKey(prefix), prefixEnd(streamKey(prefix))]
    for await (const [, value] of walkHome(this.#home, from, to, this.#report)) {
      const { state } = decodeStream(value)
      for (let early = newer[next]; early && early.path < state.path; early = newer[++next]) yield early
      if (!entries.has(state.path)) yield state
    }
    yield* newer.slice(next)
  }

  async #add(state: StreamState, sink: StreamSink): Promise<void> {
    this.#streams++
    this.#streamBytes += ownBytes(state)
    if (this.#told >= this.#request.limit) return
    this.#told++
    const messages = this.#request.countMessages ? await this.#messagesOf(state) : undefined
    this.#rows.push(rowOf(state, messages))
    if (this.#rows.length < ROWS) return
    const rows = this.#rows
    this.#rows = []
    await sink(rows)
  }

  /** A unit that reaches over several blocks counts where it ends; unknown where a block cannot be read. */
  async #messagesOf({ id }: StreamState): Promise<number | undefined> {
    let messages = this.#replayed.messages.get(id) ?? 0
    for await (const [, value] of walkHome(this.#home, blockKey(id, 0), blocksEnd(id), this.#report)) {
      const place = decodePlace(value)
      try {
        const { units } = await this.#blocks.read(id, place)
        for (const unit of units) if (unit.to <= place.to) messages += unit.messages
      } catch {
        // The number is left out: `verify` says what is wrong with the block.
        return undefined
      }
    }
    return messages
  }
}

function rowOf(state: StreamState, messages: number | undefined): StreamRow {
  const { fork, expiry } = state
  const due = dueAtMs(state)
  return {
    path: state.path,
    contentType: state.contentType,
    tailBytes: state.tail,
    ownBytes: ownBytes(state),
    ...(messages !== undefined && { messages }),
    closed: state.closed,
    deleted: state.softDeleted,
    producers: state.producers.size,
    forks: state.refCount,
    ...(fork && { forkedFrom: fork.sourcePath, forkedAt: fork.ownFrom }),
    base: state.base,
    createdAt: new Date(state.createdAtMs).toISOString(),
    ...(expiry.kind === 'ttl' && { ttlSeconds: expiry.ttlSeconds }),
    ...(due !== undefined && { dueAt: new Date(due).toISOString() }),
  }
}
