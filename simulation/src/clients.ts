/** Clients: each has one request at a time, repeats what it does not know the outcome of, and knows what to expect. */
import type { Engine } from '@millrace/engine'
import { joined, type Outcome, type ProducerStamp, type StreamId, type StreamPath } from '@millrace/protocol'
import { check, type EventLog, Violation } from './event-log.ts'
import { type AppendWords, appendCommand, bodyFor, createCommand, PATHS } from './operation.ts'
import type { SeededRandom } from './seeded-random.ts'
import type { StoreModel } from './store-model.ts'
import type { Tally } from './tally.ts'

/** What clients work on. */
export interface ClientWorld {
  readonly random: SeededRandom
  readonly log: EventLog
  readonly model: StoreModel
  readonly engine: Engine
  readonly tally: Tally
  nowMs(): number
  /** Why writes may fail at the moment, `undefined` if they may not. */
  excuse(): 'poisoned' | undefined
  /** The disk is or was short of room. */
  mayBeFull(): boolean
}

interface LastAcknowledged {
  readonly words: AppendWords
  readonly id: StreamId | undefined
}

interface Acting {
  readonly what: string
  readonly words: AppendWords | undefined
  isRepeat: boolean
}

/** One client. */
export class Client {
  readonly name: string
  readonly #counter: { op: number }
  readonly #producers = new Map<StreamPath, { epoch: number; seq: number }>()
  #acting: Acting | undefined
  #unknown: AppendWords | undefined
  #last: LastAcknowledged | undefined
  failure: unknown

  constructor(name: string, counter: { op: number }) {
    this.name = name
    this.#counter = counter
  }

  get isBusy(): boolean {
    return this.#acting !== undefined
  }

  /** The process that this client talked to is no more. */
  crashed(): void {
    if (this.#acting?.words?.producer !== undefined) this.#unknown = this.#acting.words
    this.#acting = undefined
  }

  /** Sends the next request. */
  act(world: ClientWorld): void {
    const { random } = world
    const unknown = this.#unknown
    if (unknown !== undefined) {
      this.#unknown = undefined
      this.#append(world, unknown, true)
      return
    }
    const draw = random.next()
    const path = random.pick(PATHS)
    if (draw < 0.55) this.#append(world, this.#words(world, path), false)
    else if (draw < 0.62) this.#repeatLast(world)
    else if (draw < 0.78) this.#create(world, path)
    else if (draw < 0.85) this.#remove(world, path)
    else this.#read(world, path)
  }

  #start(world: ClientWorld, what: string, words: AppendWords | undefined, isRepeat: boolean): Acting {
    const acting: Acting = { what, words, isRepeat }
    this.#acting = acting
    world.log.add(`${this.name}: ${what}`)
    world.tally.add('requests', what.split(' ')[0] ?? what)
    return acting
  }

  /** Takes the answer, unless a crash came first. */
  #finish<T>(world: ClientWorld, acting: Acting, answer: Promise<T>, judge: (result: T) => string): void {
    const settle = (take: () => string): void => {
      if (this.#acting !== acting) return
      this.#acting = undefined
      try {
        world.log.add(`${this.name}: ${acting.what} -> ${take()}`)
      } catch (error) {
        this.failure ??= error
      }
    }
    answer.then(
      (result) => settle(() => judge(result)),
      (error: unknown) =>
        settle(() => {
          if (acting.words?.producer !== undefined) this.#unknown = acting.words
          if (acting.what.startsWith('read')) throw error
          check(
            world.excuse() !== undefined,
            () => `${acting.what} failed while the store is well: ${String(error)}`,
          )
          return `failed: ${String(error)}`
        }),
    )
  }

  #words(world: ClientWorld, path: StreamPath): AppendWords {
    const { random, model } = world
    const op = ++this.#counter.op
    const mediaType = model.streams.get(path)?.state.mediaType ?? 'text/plain'
    const closesOnly = random.chance(0.02)
    const producer = random.chance(0.5) ? this.#stamp(path) : undefined
    return {
      op,
      path,
      mediaType,
      body: closesOnly ? undefined : bodyFor(mediaType, op, random),
      closes: closesOnly || random.chance(0.02),
      producer,
      streamSeq: random.chance(0.1) ? String(op).padStart(8, '0') : undefined,
    }
  }

  #stamp(path: StreamPath): ProducerStamp {
    const { epoch, seq } = this.#producers.get(path) ?? { epoch: 0, seq: 0 }
    return { id: this.name, epoch, seq }
  }

  #append(world: ClientWorld, words: AppendWords, isRepeat: boolean): void {
    const { op, path, producer, body, closes } = words
    const stamp = producer === undefined ? '' : ` as ${producer.epoch}/${producer.seq}`
    const what = `append ${op} to ${path}${stamp}, ${body?.length ?? 'no'} bytes${closes ? ', closing' : ''}${isRepeat ? ', again' : ''}`
    const acting = this.#start(world, what, words, isRepeat)
    const idBefore = world.model.streams.get(path)?.state.id
    this.#finish(world, acting, world.engine.append(appendCommand(words)), (outcome) => {
      this.#judgeAppend(world, words, acting, outcome)
      tallyAppend(world.tally, words, outcome)
      this.#advance(words, outcome, world)
      const idAfter = world.model.streams.get(path)?.state.id
      if (outcome.kind === 'appended' && producer !== undefined) {
        this.#last = { words, id: idBefore === idAfter ? idAfter : undefined }
      }
      return inShort(outcome)
    })
  }

  #judgeAppend(world: ClientWorld, words: AppendWords, acting: Acting, outcome: Outcome): void {
    const { model } = world
    const { op, path, body, producer } = words
    const places = model.opPlaces.get(op) ?? []
    if (outcome.kind === 'appended') {
      check(
        places.some(({ to }) => to === outcome.tail),
        () => `${path}: append ${op} is acknowledged at ${outcome.tail}, but not committed`,
      )
    }
    if (outcome.kind === 'duplicate' && body !== undefined) {
      check(places.length > 0, () => `${path}: append ${op} is called a duplicate, but is nowhere`)
    }
    if (outcome.kind !== 'rejected') return
    const { rejection } = outcome
    if (rejection.kind === 'no-room')
      check(world.mayBeFull(), () => `append ${op} finds no room on a disk that has some`)
    if (!acting.isRepeat)
      check(places.length === 0, () => `append ${op} was refused (${rejection.kind}), but is stored`)
    const state = model.streams.get(path)?.state
    const known = producer && state?.producers.get(producer.id)
    if (rejection.kind === 'producer-gap' && known && producer && known.epoch === producer.epoch) {
      check(known.lastSeq + 1 !== producer.seq, () => `append ${op} is a gap, but follows ${known.lastSeq}`)
    }
  }

  #advance({ path, producer }: AppendWords, outcome: Outcome, world: ClientWorld): void {
    if (producer === undefined) return
    const known = this.#producers.get(path) ?? { epoch: 0, seq: 0 }
    if (producer.epoch !== known.epoch || producer.seq < known.seq) return
    if (outcome.kind !== 'rejected') {
      this.#producers.set(path, { epoch: producer.epoch, seq: producer.seq + 1 })
      return
    }
    const { kind } = outcome.rejection
    const isLost =
      kind === 'producer-gap' ||
      kind === 'producer-fenced' ||
      kind === 'not-found' ||
      world.random.chance(0.05)
    // A refusal of a new epoch's first number uses none up.
    if (isLost) this.#producers.set(path, { epoch: known.epoch + 1, seq: 0 })
  }

  /** An acknowledged stamp again: it must be known. */
  #repeatLast(world: ClientWorld): void {
    const last = this.#last
    if (last === undefined) return
    const { words, id } = last
    const { path, op } = words
    const acting = this.#start(world, `append ${op} to ${path} once more`, words, true)
    const places = world.model.opPlaces.get(op) ?? []
    const mustBeKnown = id !== undefined && places.some((place) => place.id === id)
    this.#finish(world, acting, world.engine.append(appendCommand(words)), (outcome) => {
      const isStill = mustBeKnown && world.model.streams.get(path)?.state.id === id
      const isKnown = outcome.kind === 'duplicate'
      const isRefused =
        outcome.kind === 'rejected' && !['producer-gap', 'producer-fenced'].includes(outcome.rejection.kind)
      if (isStill)
        check(isKnown || isRefused, () => `append ${op} was acknowledged before, but is ${inShort(outcome)}`)
      return inShort(outcome)
    })
  }

  #create(world: ClientWorld, path: StreamPath): void {
    const { random, model } = world
    const op = ++this.#counter.op
    const wanted = random.chance(0.4) ? model.streams.get(random.pick(PATHS)) : undefined
    const source =
      wanted && wanted.state.path !== path
        ? { state: wanted.state, pieces: model.pieces.get(wanted.state.id) ?? [] }
        : undefined
    const command = createCommand(random, { op, path, nowMs: world.nowMs(), source })
    const from = command.fork
      ? ` from ${command.fork.sourcePath} at ${command.fork.forkAt?.position}+${command.fork.subOffset}`
      : ''
    const acting = this.#start(
      world,
      `create ${op} ${path}${from}, ${command.body.length} bytes`,
      undefined,
      false,
    )
    const mayBeFullBefore = world.mayBeFull()
    this.#finish(world, acting, world.engine.create(command), (outcome) => {
      const isRefused = outcome.kind === 'rejected'
      if (isRefused && outcome.rejection.kind === 'no-room') {
        check(mayBeFullBefore || world.mayBeFull(), () => 'a creation finds no room on a disk that has some')
      }
      const made = `${command.fork ? 'fork' : 'create'}${command.expiry ? ' that expires' : ''}`
      world.tally.add('outcomes', `${made}: ${kindOf(outcome)}`)
      return inShort(outcome)
    })
  }

  #remove(world: ClientWorld, path: StreamPath): void {
    const acting = this.#start(world, `delete ${path}`, undefined, false)
    const before = world.model.streams.get(path)?.state.id
    this.#finish(world, acting, world.engine.remove(path), (outcome) => {
      const after = world.model.streams.get(path)?.state
      if (outcome.kind === 'deleted' && before !== undefined && after?.id === before) {
        check(after.softDeleted, () => `${path} is deleted, but still there`)
      }
      world.tally.add('outcomes', `delete: ${kindOf(outcome)}`)
      return inShort(outcome)
    })
  }

  #read(world: ClientWorld, path: StreamPath): void {
    const { random, model } = world
    const tail = model.streams.get(path)?.state.tail ?? 0
    const position = random.chance(0.5) ? 0 : random.between(0, tail)
    const acting = this.#start(world, `read ${path} from ${position}`, undefined, false)
    this.#finish(world, acting, world.engine.read(path, { kind: 'position', position }), (result) => {
      if (result.kind === 'rejected') return result.rejection.kind
      const { state, from, to, pieces } = result.slice
      const expected = model.bytesOf(state, from, to)
      const got = Buffer.from(joined(pieces))
      if (!got.equals(expected)) {
        throw new Violation(
          `${path}: bytes ${from} to ${to} are\n${got.toString('latin1')}\nnot\n${expected.toString('latin1')}`,
        )
      }
      return `${from} to ${to} of ${state.id}`
    })
  }
}

/** An outcome in a word or two. */
export function inShort(outcome: Outcome): string {
  if (outcome.kind === 'rejected') return `rejected: ${outcome.rejection.kind}`
  return 'tail' in outcome ? `${outcome.kind} at ${outcome.tail}` : outcome.kind
}

function kindOf(outcome: Outcome): string {
  return outcome.kind === 'rejected' ? outcome.rejection.kind : outcome.kind
}

function tallyAppend(
  tally: Tally,
  { producer, streamSeq, closes, body }: AppendWords,
  outcome: Outcome,
): void {
  const what = [
    body === undefined ? 'close' : closes ? 'append and close' : 'append',
    producer === undefined ? '' : ' with producer',
    streamSeq === undefined ? '' : ' with Stream-Seq',
  ].join('')
  tally.add('outcomes', `${what}: ${kindOf(outcome)}`)
}
