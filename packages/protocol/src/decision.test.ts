/** Properties of whatever is decided: what any history of commands leaves true, command by command. */
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { AppendCommand, Command, CreateCommand } from './command.ts'
import { decideAppend } from './decide-append.ts'
import { decideCreate, type ForkPoint } from './decide-create.ts'
import { decideRemove } from './decide-remove.ts'
import type { Change, Decision, Rules, View } from './decision.ts'
import type { Expiry } from './expiry.ts'
import { livenessOf } from './liveness.ts'
import type { Outcome } from './outcome.ts'
import type { ProducerEntry } from './producer-table.ts'
import { parseStreamPath, type StreamPath } from './stream-path.ts'
import { evolve, ownFrom, PLAIN_CONFIG, type StreamState, streamId } from './stream-state.ts'

const START = Date.UTC(2026, 0, 1)
const FOREVER: Rules = { producerIdleMs: undefined, generation: 0 }
const runs = { seed: 20_241_009, numRuns: 2000 }

function path(name: string): StreamPath {
  const parsed = parseStreamPath(name)
  if (parsed.kind !== 'stream') throw new Error(`${name} is no stream path`)
  return parsed.path
}

const paths = ['a', 'b', 'c', 'd'].map(path)

/** All streams, and the time; a history of commands moves it on. */
class World implements View {
  readonly #streams = new Map<StreamPath, StreamState>()
  nowMs: number = START

  stream(wanted: StreamPath): StreamState | undefined {
    return this.#streams.get(wanted)
  }

  streams(): readonly StreamState[] {
    return [...this.#streams.values()]
  }

  decide(command: Command): Decision {
    switch (command.kind) {
      case 'append':
        return decideAppend(this.stream(command.path), command, this.nowMs, FOREVER)
      case 'create':
        return decideCreate(this, command, this.#pointFor(command), this.nowMs, FOREVER)
      case 'remove':
        return decideRemove(this, command, this.nowMs)
    }
  }

  apply(changes: readonly Change[]): void {
    for (const change of changes) {
      const state = change.events.reduce(evolve, this.stream(change.path))
      if (state === undefined) this.#streams.delete(change.path)
      else this.#streams.set(change.path, state)
    }
  }

  /** What a store finds: the fork offset and what the sub-offset spans, if both lie in the source. */
  #pointFor({ fork }: CreateCommand): ForkPoint | undefined {
    const source = fork && this.stream(fork.sourcePath)
    if (fork === undefined || source === undefined) return undefined
    const forkPosition = fork.forkAt?.position ?? source.tail
    const end = forkPosition + fork.subOffset
    if (end <= source.tail) return { kind: 'found', sourceId: source.id, forkPosition, ownFrom: end }
    const rejection = { kind: 'bad-request', detail: 'past the end' } as const
    return { kind: 'refused', sourceId: source.id, rejection }
  }
}

type Step = Command | { readonly kind: 'wait'; readonly ms: number }

const anyPath = fc.constantFrom(...paths)
const payload = fc.oneof(
  { weight: 4, arbitrary: fc.nat({ max: 20 }).map((size) => bytesOf(size + 1)) },
  fc.constantFrom<AppendCommand['payload']>({ kind: 'empty-array' }, { kind: 'invalid-json', detail: 'x' }),
)
const stamp = fc.record({
  id: fc.constantFrom('p', 'q'),
  epoch: fc.nat({ max: 2 }),
  seq: fc.nat({ max: 3 }),
})

/** Plain text most of the time, so that requests mostly fit the streams they meet. */
function mediaTypeOf(weight: number): fc.Arbitrary<string> {
  return fc.oneof({ weight, arbitrary: fc.constant('text/plain') }, fc.constant('application/json'))
}

function bytesOf(size: number): AppendCommand['payload'] {
  return { kind: 'bytes', bytes: new Uint8Array(size), messages: 1 }
}

const append: fc.Arbitrary<AppendCommand> = fc.record({
  kind: fc.constant('append'),
  path: anyPath,
  mediaType: fc.constantFrom('text/plain', 'text/plain', 'application/json'),
  payload: fc.oneof(
    { weight: 3, arbitrary: payload },
    fc.constant<AppendCommand['payload']>({ kind: 'none' }),
  ),
  closes: fc.nat({ max: 15 }).map((n) => n === 0),
  producer: fc.option(stamp, { nil: undefined }),
  streamSeq: fc.option(fc.constantFrom('1', '2', '3', '10'), { nil: undefined }),
})

const expiry = fc.oneof(
  { weight: 10, arbitrary: fc.constant(undefined) },
  fc.constantFrom<Expiry>(
    { kind: 'ttl', ttlSeconds: 0 },
    { kind: 'ttl', ttlSeconds: 3 },
    { kind: 'at', instantMs: START + 9000, text: '2026-01-01T00:00:09Z' },
  ),
)

const create: fc.Arbitrary<CreateCommand> = fc
  .record({
    path: anyPath,
    id: fc.uuid().map(streamId),
    mediaType: mediaTypeOf(9),
    expiry,
    closed: fc.nat({ max: 15 }).map((n) => n === 0),
    body: fc.constantFrom('', '1', '[1,2]', '[1,2,3]', '{').map((text) => new TextEncoder().encode(text)),
    fork: fc.option(
      fc.record({
        sourcePath: anyPath,
        forkAt: fc.option(fc.record({ generation: fc.constant(0), position: fc.nat({ max: 12 }) }), {
          nil: undefined,
        }),
        subOffset: fc.constantFrom(0, 0, 1, 2),
      }),
      { nil: undefined },
    ),
  })
  .map((given) => {
    const mediaType = given.fork === undefined ? given.mediaType : undefined
    return { kind: 'create', ...given, mediaType, contentType: mediaType }
  })

const remove: fc.Arbitrary<Command> = fc.record({
  kind: fc.constant('remove'),
  path: anyPath,
  because: fc.constantFrom('deleted', 'expired', 'expired'),
})

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 12, arbitrary: append },
  { weight: 6, arbitrary: create },
  { weight: 2, arbitrary: remove },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('wait'), ms: fc.nat({ max: 2500 }) }) },
)

/** Begins with two streams of text, so that there is something to write to and to fork from. */
const history = fc
  .array(step, { maxLength: 80, size: 'max' })
  .map((steps): readonly Step[] => [...paths.slice(0, 2).map(plainCreate), ...steps])

function plainCreate(streamPath: StreamPath): CreateCommand {
  const type = { contentType: 'text/plain', mediaType: 'text/plain' }
  const rest = { expiry: undefined, closed: false, body: new Uint8Array(2), fork: undefined }
  return { kind: 'create', path: streamPath, id: streamId(`id-${streamPath}`), ...type, ...rest }
}

/** Carries out a history, and collects what `judge` finds wrong before and after each decision. */
function faultsIn(
  steps: readonly Step[],
  judge: (world: World, command: Command, decision: Decision, carryOut: () => void) => string | undefined,
): readonly string[] {
  const world = new World()
  return steps.flatMap((step) => {
    if (step.kind === 'wait') {
      world.nowMs += step.ms
      return []
    }
    const decision = world.decide(step)
    let isCarriedOut = false
    const carryOut = (): void => {
      isCarriedOut = true
      if (decision.kind === 'accept') world.apply(decision.changes)
    }
    const fault = judge(world, step, decision, carryOut)
    if (!isCarriedOut) carryOut()
    return fault === undefined ? [] : [`${step.kind}: ${fault}`]
  })
}

function producersRegress(before: StreamState, after: StreamState): boolean {
  return [...before.producers.entries()].some(([id, known]) => {
    const now = after.producers.get(id)
    return (
      now === undefined ||
      now.epoch < known.epoch ||
      (now.epoch === known.epoch && now.lastSeq < known.lastSeq)
    )
  })
}

function sizeOfUnits({ events }: Change): number {
  return events.reduce(
    (size, event) => size + (event.kind === 'appended' ? (event.unit?.sizeBytes ?? 0) : 0),
    0,
  )
}

function tailOf(outcome: Outcome): number | undefined {
  return 'tail' in outcome ? outcome.tail : undefined
}

describe('any history of commands', () => {
  it('R-026: only ever moves a tail forward, never opens a closed stream, never takes a producer back', () => {
    const property = fc.property(history, (steps) => {
      const faults = faultsIn(steps, (world, _, decision, carryOut) => {
        const before = world.streams()
        carryOut()
        const worse = before.find((state) => {
          const now = world.stream(state.path)
          if (now === undefined || now.id !== state.id) return false
          return now.tail < state.tail || (state.closed && !now.closed) || producersRegress(state, now)
        })
        return worse && `${worse.path} went back by ${decision.kind}`
      })
      return faults.length === 0
    })
    expect(fc.check(property, runs).counterexample).toBeNull()
  })

  it('R-087: is changed by what is accepted only: a repeat and a rejection carry no changes', () => {
    const property = fc.property(history, (steps) => {
      const faults = faultsIn(steps, (_, __, decision) => {
        return 'changes' in decision === (decision.kind === 'accept') ? undefined : decision.kind
      })
      return faults.length === 0
    })
    expect(fc.check(property, runs).counterexample).toBeNull()
  })

  it('has tails that count the bytes that were stored, and answers that name them', () => {
    const property = fc.property(history, (steps) => {
      const faults = faultsIn(steps, (world, command, decision, carryOut) => {
        if (decision.kind !== 'accept') return undefined
        const before = world.stream(command.path)
        carryOut()
        const now = world.stream(command.path)
        const change = decision.changes.find((one) => one.path === command.path)
        if (change === undefined) return 'nothing changes'
        const size = change.payload?.length ?? 0
        if (size !== sizeOfUnits(change)) return 'the payload has another size'
        if (now === undefined || decision.outcome.kind === 'deleted') return undefined
        const start = command.kind === 'create' ? ownFrom(now) : before?.tail
        if (start === undefined || now.tail !== start + size) return 'the tail is elsewhere'
        return tailOf(decision.outcome) === now.tail ? undefined : 'the answer names another tail'
      })
      return faults.length === 0
    })
    expect(fc.check(property, runs).counterexample).toBeNull()
  })

  it('R-255, R-287, R-293: counts each fork once at its source, and keeps each source as long as it has forks', () => {
    const property = fc.property(history, (steps) => {
      const faults = faultsIn(steps, (world, _, __, carryOut) => {
        carryOut()
        const all = world.streams()
        const wrong = all.find((state) => {
          return state.refCount !== all.filter(({ fork }) => fork?.sourceId === state.id).length
        })
        if (wrong) return `${wrong.path} counts ${wrong.refCount} forks`
        const orphan = all.find(({ fork }) => fork && world.stream(fork.sourcePath)?.id !== fork.sourceId)
        return orphan && `${orphan.path} has lost its source`
      })
      return faults.length === 0
    })
    expect(fc.check(property, runs).counterexample).toBeNull()
  })

  it('never replaces a stream that was not purged first', () => {
    const property = fc.property(history, (steps) => {
      const faults = faultsIn(steps, (world, _, decision) => {
        const changes = decision.kind === 'accept' ? decision.changes : []
        const replaced = changes.find((change) => {
          return change.events[0]?.kind === 'created' && world.stream(change.path) !== undefined
        })
        return replaced?.path
      })
      return faults.length === 0
    })
    expect(fc.check(property, runs).counterexample).toBeNull()
  })

  it('is decided by nothing but the streams, the command and the time', () => {
    const property = fc.property(history, (steps) => {
      const faults = faultsIn(steps, (world, command, decision) => {
        return isDeepStrictEqual(world.decide(command), decision) ? undefined : 'another decision'
      })
      return faults.length === 0
    })
    expect(fc.check(property, { ...runs, numRuns: 500 }).counterexample).toBeNull()
  })
})

describe('an accepted command that comes again', () => {
  it('R-092: of a producer is a repeat with the same answer', () => {
    const property = fc.property(history, (steps) => {
      const faults = faultsIn(steps, (world, command, decision, carryOut) => {
        if (decision.kind !== 'accept' || command.kind !== 'append' || !command.producer) return undefined
        carryOut()
        if (livenessOf(world.stream(command.path), world.nowMs).kind !== 'live') return undefined
        const again = world.decide(command)
        const expected = { kind: 'repeat', outcome: { ...decision.outcome, kind: 'duplicate' } }
        return isDeepStrictEqual(again, expected) ? undefined : again.kind
      })
      return faults.length === 0
    })
    expect(fc.check(property, runs).counterexample).toBeNull()
  })

  it('R-058, R-256: of a PUT is a repeat with the same answer', () => {
    const property = fc.property(history, (steps) => {
      const faults = faultsIn(steps, (world, command, decision, carryOut) => {
        if (decision.kind !== 'accept' || command.kind !== 'create') return undefined
        carryOut()
        if (livenessOf(world.stream(command.path), world.nowMs).kind !== 'live') return undefined
        const again = world.decide(command)
        const expected = { kind: 'repeat', outcome: { ...decision.outcome, kind: 'exists' } }
        return isDeepStrictEqual(again, expected) ? undefined : again.kind
      })
      return faults.length === 0
    })
    expect(fc.check(property, runs).counterexample).toBeNull()
  })
})

describe('any sequence of producer numbers', () => {
  /** The table of section 6, row by row. */
  const judge = (known: ProducerEntry | undefined, epoch: number, seq: number): string => {
    if (known === undefined) return seq === 0 ? 'accept' : `gap 0 ${seq}`
    if (epoch < known.epoch) return `fenced ${known.epoch}`
    if (epoch > known.epoch) return seq === 0 ? 'accept' : 'bad-request'
    if (seq <= known.lastSeq) return `duplicate ${known.epoch} ${known.lastSeq}`
    return seq === known.lastSeq + 1 ? 'accept' : `gap ${known.lastSeq + 1} ${seq}`
  }

  const summary = (decision: Decision): string => {
    if (decision.kind === 'accept' || decision.kind === 'stale') return decision.kind
    if (decision.kind === 'repeat') {
      const { outcome } = decision
      return outcome.kind === 'duplicate'
        ? `duplicate ${outcome.producer?.epoch} ${outcome.producer?.seq}`
        : outcome.kind
    }
    const { rejection } = decision
    if (rejection.kind === 'producer-gap') return `gap ${rejection.expected} ${rejection.received}`
    return rejection.kind === 'producer-fenced' ? `fenced ${rejection.epoch}` : rejection.kind
  }

  it('R-090 to R-100: is judged by the table of producers', () => {
    const property = fc.property(fc.array(stamp, { maxLength: 40, size: 'max' }), (stamps) => {
      const world = new World()
      const [a = path('a')] = paths
      const config = { ...PLAIN_CONFIG, id: streamId('1'), path: a }
      world.apply([{ path: a, events: [{ kind: 'created', config, atMs: START }], payload: undefined }])
      const known = new Map<string, ProducerEntry>()
      return stamps.every((producer) => {
        const { mediaType } = config
        const rest = { closes: false, streamSeq: undefined, payload: bytesOf(1) }
        const decision = world.decide({ kind: 'append', path: a, mediaType, producer, ...rest })
        const expected = judge(known.get(producer.id), producer.epoch, producer.seq)
        if (expected === 'accept') {
          known.set(producer.id, { epoch: producer.epoch, lastSeq: producer.seq, updatedAtMs: START })
        }
        if (decision.kind === 'accept') world.apply(decision.changes)
        return summary(decision) === expected
      })
    })
    expect(fc.check(property, runs).counterexample).toBeNull()
  })
})
