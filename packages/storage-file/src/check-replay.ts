/**
 * What the journal holds beyond the home, laid over it: states only, no bytes. Replays as recovery does, and says
 * where a record does not fit what was there before it.
 */
import type { StreamId, StreamPath, StreamState } from '@millrace/protocol'
import { type CheckReport, inStream, RESTORE } from './finding.ts'
import type { ReadableHome } from './home.ts'
import { lookUpStream } from './home-walk.ts'
import type { FoundRecord } from './journal-reader.ts'
import { Layer, type LayerEntry } from './layer.ts'
import type { RecordedChange } from './record-codec.ts'

/** Changes of an incarnation that is over in the home: a later record has to say so. */
interface Unproven {
  readonly path: StreamPath
  readonly sequence: number
}

/** The home as it will be once the journal is replayed. */
export class ReplayedHome {
  readonly #home: ReadableHome
  readonly #report: CheckReport
  readonly #unproven = new Map<StreamId, Unproven>()
  readonly #paths = new Map<StreamId, StreamPath>()
  /** Messages that the journal holds beyond the home, by stream. */
  readonly messages: Map<StreamId, number> = new Map()
  /** States that differ from the home's. */
  readonly layer: Layer = new Layer()

  constructor(home: ReadableHome, report: CheckReport) {
    this.#home = home
    this.#report = report
  }

  /** The newest state of a path; `damaged` if the home's is. */
  entry(path: StreamPath): LayerEntry | 'damaged' {
    const found = this.layer.entries.get(path)
    if (found !== undefined) return found
    const looked = lookUpStream(this.#home, path)
    if (looked.kind === 'damaged') return 'damaged'
    const { state, version } = looked.kind === 'found' ? looked.value : { state: undefined, version: 0 }
    return { state, version, home: undefined }
  }

  /** Path of a stream that the journal made or changed. */
  pathOf(id: StreamId): StreamPath | undefined {
    return this.#paths.get(id)
  }

  /** Lays a record over what is there. */
  apply({ sequence, body }: FoundRecord): void {
    for (const change of body.changes) this.#change(change, sequence)
    for (const touch of body.touches) {
      const entry = this.entry(touch.path)
      if (entry !== 'damaged') this.layer.touch(touch, entry)
    }
    this.layer.records++
    this.layer.sequence = sequence
  }

  /** To be called after the last record. */
  finish(): void {
    for (const { path, sequence } of this.#unproven.values()) {
      this.#unfit(
        path,
        `Record ${sequence} of the journal changes a stream that the home does not have at this path.`,
      )
    }
  }

  #change(change: RecordedChange, sequence: number): void {
    const { path, id } = change
    const entry = this.entry(path)
    if (entry === 'damaged') return
    const { state, version } = entry
    const isPurge = change.events.at(-1)?.kind === 'purged'
    if (isPurge) this.#unproven.delete(id)
    const isOther = state === undefined ? change.version > 0 : state.id !== id
    if (isOther) {
      // A checkpoint that was broken off has left the home past this record, where another stream has the path, or none.
      if (!isPurge && !this.#unproven.has(id)) this.#unproven.set(id, { path, sequence })
      return
    }
    if (change.version < version) return
    if (change.version > version || !isAtTail(change, state)) {
      const expected = `version ${version} at position ${state?.tail ?? 0}`
      const got = `version ${change.version} at position ${change.payloadAt}`
      this.#unfit(
        path,
        `Record ${sequence} of the journal goes on from ${got}, but the stream is at ${expected}.`,
      )
      return
    }
    // Only states are wanted: the bytes were checked with the record.
    this.layer.replay({ ...change, payload: undefined }, entry)
    this.#paths.set(id, path)
    if (change.payload !== undefined) this.messages.set(id, (this.messages.get(id) ?? 0) + change.messages)
  }

  #unfit(path: StreamPath, what: string): void {
    this.#report.find({ severity: 'error', where: inStream(path), what, whatToDo: RESTORE })
  }
}

function isAtTail(change: RecordedChange, state: StreamState | undefined): boolean {
  return change.payload === undefined || state === undefined || change.payloadAt === state.tail
}
