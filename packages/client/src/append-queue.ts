/**
 * The appends of one handle, in order and one request at a time. What is appended while a request is under way goes out
 * together in the next one. It knows no HTTP: a request is what `post` makes of a batch.
 */
import { type WireMessage, wireSize } from './append-body.ts'

/** One append that waits for its turn. */
export interface QueuedAppend {
  readonly message: WireMessage
  /** `Stream-Seq`; a batch carries the last one of its messages. */
  readonly seq: string | undefined
  readonly contentType: string | undefined
  /** Drops the message while it waits, and ends its request if it is the only one in it. */
  readonly signal: AbortSignal | undefined
  /** Producer fields, which are true of this message only: it goes out alone. */
  readonly producer: Readonly<Record<string, string | undefined>> | undefined
}

/** Bytes in one request; a message that is larger goes alone. */
const MAX_BATCH_BYTES = 1_048_576

interface Waiting {
  readonly append: QueuedAppend
  readonly sizeBytes: number
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

interface Task {
  readonly run: () => Promise<void>
}

type Entry = Waiting | Task

/** Runs appends and tasks strictly in the order in which they were added. */
export class AppendQueue {
  readonly #post: (batch: readonly QueuedAppend[]) => Promise<void>
  readonly #aborted: () => Error
  #entries: Entry[] = []
  #isRunning = false

  /** `aborted` makes the error for a message that is dropped while it waits. */
  constructor(post: (batch: readonly QueuedAppend[]) => Promise<void>, aborted: () => Error) {
    this.#post = post
    this.#aborted = aborted
  }

  /** Resolves when the message is stored. When a batch fails, so does everything that waits behind it. */
  append(append: QueuedAppend): Promise<void> {
    return new Promise((resolve, reject) => {
      const { signal, message } = append
      if (signal?.aborted === true) return reject(this.#aborted())
      const drop = (): void => this.#drop(waiting)
      signal?.addEventListener('abort', drop, { once: true })
      const settled = (): void => signal?.removeEventListener('abort', drop)
      const waiting: Waiting = {
        append,
        sizeBytes: wireSize(message),
        resolve: () => {
          settled()
          resolve()
        },
        reject: (error) => {
          settled()
          reject(error)
        },
      }
      this.#add(waiting)
    })
  }

  /** Runs a task after everything that was appended before, whatever became of it. */
  run<T>(task: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#add({ run: () => task().then(resolve, reject) })
    })
  }

  #add(entry: Entry): void {
    this.#entries.push(entry)
    if (!this.#isRunning) void this.#work()
  }

  /** The first step is synchronous, so that an idle queue sends at once. */
  async #work(): Promise<void> {
    this.#isRunning = true
    for (let first = this.#entries[0]; first !== undefined; first = this.#entries[0]) {
      if ('run' in first) {
        this.#entries.shift()
        await first.run()
      } else {
        await this.#send(takeBatch(this.#entries))
      }
    }
    this.#isRunning = false
  }

  async #send(batch: readonly Waiting[]): Promise<void> {
    try {
      await this.#post(batch.map(({ append }) => append))
      for (const { resolve } of batch) resolve()
    } catch (error) {
      const { appends, tasks } = partition(this.#entries)
      this.#entries = tasks
      for (const { reject } of [...batch, ...appends]) reject(error)
    }
  }

  #drop(waiting: Waiting): void {
    const at = this.#entries.indexOf(waiting)
    if (at === -1) return
    this.#entries.splice(at, 1)
    waiting.reject(this.#aborted())
  }
}

/** Removes what can go out in one request from the front: never over a task or a change of content type. */
function takeBatch(entries: Entry[]): readonly Waiting[] {
  const batch: Waiting[] = []
  let sizeBytes = 0
  for (const entry of entries) {
    if ('run' in entry) break
    const first = batch[0]?.append
    if (first !== undefined) {
      const isAlone = (first.producer ?? entry.append.producer) !== undefined
      const isOther = first.contentType !== entry.append.contentType
      if (isAlone || isOther || sizeBytes + entry.sizeBytes > MAX_BATCH_BYTES) break
    }
    batch.push(entry)
    sizeBytes += entry.sizeBytes
  }
  entries.splice(0, batch.length)
  return batch
}

function partition(entries: readonly Entry[]): {
  readonly appends: readonly Waiting[]
  readonly tasks: Task[]
} {
  const appends: Waiting[] = []
  const tasks: Task[] = []
  for (const entry of entries) {
    if ('run' in entry) tasks.push(entry)
    else appends.push(entry)
  }
  return { appends, tasks }
}
