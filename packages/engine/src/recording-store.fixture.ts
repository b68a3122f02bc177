/** A memory store that writes down what really happened: the truth that everything else is measured against. */
import { joined, type OwnRange, ownFrom, type ProducerStamp, type StreamId } from '@millrace/protocol'
import { memoryStorage } from './memory-storage.ts'
import type { Commit, CommitResult, StateChange, StreamStorage } from './storage.ts'

/** An append that was made. */
export interface MadeAppend {
  readonly text: string
  readonly to: number
  readonly producer: ProducerStamp | undefined
}

/** One stream from its creation to its end. */
export interface Incarnation {
  readonly id: StreamId
  readonly path: string
  readonly from: number
  readonly inherited: readonly OwnRange[]
  /** When it was made, on the clock of the test's steps. */
  readonly madeAt: number
  text: string
  readonly appends: MadeAppend[]
  isClosed: boolean
  isSoftDeleted: boolean
  isPurged: boolean
}

const decoder = new TextDecoder()

/** Everything that became of streams, in the order it was committed. */
export class StreamRecord {
  readonly incarnations: Map<StreamId, Incarnation> = new Map()
  readonly violations: string[] = []
  readonly storage: StreamStorage
  conflicts = 0
  /** The current step of the test. */
  step = 0

  constructor() {
    const inner = memoryStorage()
    this.storage = {
      traits: inner.traits,
      generation: inner.generation,
      load: (paths) => inner.load(paths),
      commit: (batch) => this.#commit(inner, batch),
      read: (range) => inner.read(range),
      unitAt: (id, position) => inner.unitAt(id, position),
      touch: (touches) => inner.touch(touches),
      list: (prefix, after, limit) => inner.list(prefix, after, limit),
      due: (atOrBeforeMs, limit) => inner.due(atOrBeforeMs, limit),
      close: () => inner.close(),
    }
  }

  /** The whole text of a stream, inherited parts included. */
  textOf(id: StreamId): string {
    const one = this.incarnations.get(id)
    if (one === undefined) return ''
    return one.inherited.map((range) => this.textOf(range.id).slice(range.from, range.to)).join('') + one.text
  }

  /** All incarnations that hold a text as bytes of their own. */
  holdersOf(text: string): readonly Incarnation[] {
    return [...this.incarnations.values()].flatMap((one) =>
      one.appends.filter((append) => append.text === text).map(() => one),
    )
  }

  #commit(inner: StreamStorage, batch: readonly Commit[]): readonly CommitResult[] {
    const results = inner.commit(batch)
    if (results instanceof Promise) throw new Error('the memory store answers at once')
    for (const [at, commit] of batch.entries()) {
      if (results[at] === 'conflict') this.conflicts++
      if (results[at] === 'durable') for (const change of commit.changes) this.#note(change)
    }
    return results
  }

  #note({ id, path, next, version, payload, payloadAt, events }: StateChange): void {
    if (version === 0 && next) {
      this.incarnations.set(id, {
        id,
        path,
        from: ownFrom(next),
        inherited: next.fork?.inherited ?? [],
        madeAt: this.step,
        text: '',
        appends: [],
        isClosed: false,
        isSoftDeleted: false,
        isPurged: false,
      })
    }
    const one = this.incarnations.get(id)
    if (one === undefined || one.isPurged) {
      this.violations.push(`${id} was changed, but does not exist`)
      return
    }
    const appended = events.find((event) => event.kind === 'appended')
    if (appended !== undefined && one.isClosed) this.violations.push(`${id} was changed after it was closed`)
    if (payload !== undefined) {
      if (payloadAt !== one.from + one.text.length) this.violations.push(`${id} has a gap at ${payloadAt}`)
      one.text += decoder.decode(joined([payload]))
      const to = one.from + one.text.length
      one.appends.push({ text: decoder.decode(payload), to, producer: appended?.producer })
    }
    one.isClosed ||= next?.closed ?? false
    one.isSoftDeleted ||= next?.softDeleted ?? false
    one.isPurged ||= next === undefined
  }
}
