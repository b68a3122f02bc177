/** What one reader has been told about one stream, and what must stay true of it through every crash. */
import {
  joined,
  type Offset,
  offsetAt,
  parseOffset,
  type Slice,
  type StreamId,
  type StreamPath,
  type StreamState,
} from '@millrace/protocol'
import { check } from './event-log.ts'
import type { StoreModel } from './store-model.ts'

/** One reader in one incarnation of a stream. */
export class ReaderSession {
  readonly path: StreamPath
  readonly id: StreamId
  /** Position of the first byte that it has. */
  #from: number
  #bytes: Buffer = Buffer.alloc(0)
  /** The newest state that it was given bytes of. */
  #state: StreamState
  #position: number
  #offset: Offset
  /** How far its bytes have survived; a `file-fast` store may lose some of them in a power cut. */
  #keptTo: number = Number.POSITIVE_INFINITY

  constructor(state: StreamState, from: number) {
    this.path = state.path
    this.id = state.id
    this.#from = from
    this.#state = state
    this.#position = from
    this.#offset = offsetAt(state, from)
  }

  get from(): number {
    return this.#from
  }

  get position(): number {
    return this.#position
  }

  /** Where it goes on. */
  get offset(): Offset {
    return this.#offset
  }

  /** It was told that there will be no more. */
  get isAtEnd(): boolean {
    return this.#state.closed && this.#position === this.#state.tail
  }

  /** Takes what it is given next. */
  take(slice: Slice, model: StoreModel): void {
    const { state, from, to, pieces } = slice
    const who = `a reader of ${this.path} at ${this.#offset}`
    check(
      this.#position <= this.#keptTo,
      () => `${who}: its bytes past ${this.#keptTo} are lost, but it is served`,
    )
    check(from === this.#position, () => `${who} gets bytes from ${from}`)
    check(to > from || to === state.tail, () => `${who} gets nothing, but the tail is ${state.tail}`)
    check(
      state.tail >= this.#state.tail,
      () => `${who}: the tail goes back from ${this.#state.tail} to ${state.tail}`,
    )
    check(
      !this.#state.closed || (state.closed && state.tail === this.#state.tail),
      () => `${who}: the stream was closed at ${this.#state.tail}, and is not any more`,
    )
    const got = Buffer.from(joined(pieces))
    const expected = model.bytesOf(state, from, to)
    check(
      got.equals(expected),
      () => `${who} gets\n${got.toString('latin1')}\nnot\n${expected.toString('latin1')}`,
    )
    const truth = model.streams.get(this.path)?.state
    if (truth?.id === this.id) {
      check(
        state.tail <= truth.tail,
        () => `${who} sees a tail of ${state.tail}, but only ${truth.tail} is durable`,
      )
      check(!state.closed || truth.closed, () => `${who} sees a closure that is not durable`)
    }
    const offset = offsetAt(state, to)
    check(offset >= this.#offset, () => `${who} is handed ${offset}, which is below it`)
    this.#bytes = Buffer.concat([this.#bytes, got])
    this.#state = state
    this.#position = to
    this.#offset = offset
  }

  /** Reads once more what it has: it must be the same. */
  compare({ state, from, pieces }: Slice): void {
    if (state.id !== this.id || from !== this.#from) return
    const got = Buffer.from(joined(pieces))
    const length = Math.min(got.length, this.#bytes.length, Math.max(0, this.#keptTo - from))
    check(
      got.subarray(0, length).equals(this.#bytes.subarray(0, length)),
      () => `${this.path}: a reader gets other bytes from ${from} on than before`,
    )
  }

  /** The store has come back. `mayHaveLost`: acknowledged bytes need not all be there. */
  recovered(model: StoreModel, mayHaveLost: boolean): void {
    const found = model.streams.get(this.path)?.state
    const truth = found?.id === this.id ? found : undefined
    if (mayHaveLost) {
      if (truth !== undefined) this.#cut(truth, model)
      else this.#keptTo = Math.min(this.#keptTo, this.#from + this.#known(model).length)
      return
    }
    const keptTo = Math.min(this.#keptTo, this.#position)
    this.#checkBytes(model.bytesOf(this.#state, this.#from, keptTo), keptTo)
    if (truth === undefined) return
    const { tail, closed } = this.#state
    check(
      truth.tail >= tail,
      () => `${this.path}: a reader has seen a tail of ${tail}; now it is ${truth.tail}`,
    )
    check(truth.closed || !closed, () => `${this.path}: a reader has seen it closed; now it is open`)
  }

  /** It is told that its bytes are lost, and where to go on. `isSame`: the stream has been this one all along. */
  rewind(resumeAt: Offset, isSame: boolean): void {
    const parsed = parseOffset(resumeAt)
    const position = parsed.kind === 'offset' ? parsed.position : -1
    const expected = Math.min(this.#keptTo, this.#position)
    check(
      !isSame || (position === expected && expected < this.#position),
      () =>
        `${this.path}: a reader at ${this.#offset} has lost what is past ${expected}, and is sent to ${resumeAt}`,
    )
    check(
      resumeAt < this.#offset,
      () => `${this.path}: a reader at ${this.#offset} is sent forward to ${resumeAt}`,
    )
    this.#bytes = this.#bytes.subarray(0, Math.max(0, position - this.#from))
    this.#from = Math.min(this.#from, position)
    this.#position = position
    this.#offset = resumeAt
    this.#keptTo = Number.POSITIVE_INFINITY
  }

  /** What a power cut may take is the end only: what is still there is what was read, and the rest is known as lost. */
  #cut(truth: StreamState, model: StoreModel): void {
    const keptTo = Math.min(this.#keptTo, this.#position, truth.tail)
    this.#checkBytes(model.bytesOf(truth, this.#from, keptTo), keptTo)
    if (keptTo < this.#position) this.#keptTo = keptTo
    this.#state = truth
  }

  /** What is left of what was read: a stream that was lost as a whole has left nothing. */
  #known(model: StoreModel): Buffer {
    return model.bytesOf(this.#state, this.#from, Math.min(this.#keptTo, this.#position))
  }

  #checkBytes(expected: Buffer, to: number): void {
    const seen = this.#bytes.subarray(0, Math.max(0, to - this.#from))
    check(
      seen.equals(expected),
      () =>
        `${this.path}: a reader has seen from ${this.#from} on\n${seen.toString('latin1')}\nbut there is\n${expected.toString('latin1')}`,
    )
  }
}
