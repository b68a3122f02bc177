import fc from 'fast-check'
import { expect, it } from 'vitest'
import { ModelNetwork, ModelServer, NETWORK_ACTIONS, type NetworkAction } from './producer-model.fixture.ts'
import {
  type ProducerEvent,
  type ProducerRules,
  type ProducerState,
  startProducer,
  stepProducer,
} from './producer-state.ts'

type Action = NetworkAction | 'seal' | 'wait' | 'rival' | 'restart'

/** Runs the state machine against the model and keeps what was reported of each batch. */
class History {
  readonly server = new ModelServer()
  readonly network: ModelNetwork = new ModelNetwork(this.server)
  readonly acknowledged: number[] = []
  readonly unsure: number[] = []
  readonly undelivered: number[] = []
  state: ProducerState
  rivals = 0
  isWaiting = false

  constructor(rules: ProducerRules, olderSeq: number) {
    this.state = startProducer(rules)
    if (olderSeq > 0) this.server.hadIncarnation(0, olderSeq)
  }

  apply(event: ProducerEvent): void {
    const { state, effects } = stepProducer(this.state, event)
    this.state = state
    for (const effect of effects) {
      if (effect.kind === 'send') this.network.send(effect)
      if (effect.kind === 'back-off') this.isWaiting = true
      if (effect.kind === 'acknowledged') this.acknowledged.push(...range(effect.from, effect.to))
      if (effect.kind === 'undelivered') {
        const firstSure = effect.from + effect.mayBeStored
        this.unsure.push(...range(effect.from, firstSure))
        this.undelivered.push(...range(firstSure, effect.to))
      }
    }
  }

  act(action: Action, pick: number): void {
    if (action === 'seal') this.apply({ kind: 'sealed' })
    else if (action === 'wait') this.wait()
    else if (action === 'rival') this.rival()
    else if (action === 'restart') this.restart()
    else {
      const heard = this.network.step(action, pick)
      if (heard !== undefined) this.apply({ kind: 'answered', ...heard })
    }
  }

  wait(): void {
    if (!this.isWaiting) return
    this.isWaiting = false
    this.apply({ kind: 'waited' })
  }

  /** Not before the first batch is settled: what happens to that one at once, nobody can tell. */
  rival(): void {
    if (this.state.settled > 0 && this.rivals++ < 3) this.server.rivalClaims()
  }

  restart(): void {
    const { phase, running, settled, sealed } = this.state
    if (phase.kind === 'failed' && running === 0 && settled === sealed) this.apply({ kind: 'restarted' })
  }

  /** The trouble is over: everything arrives and is answered until nothing moves any more. */
  settle(): void {
    for (let i = 0; i < 10_000 && (!this.network.isQuiet || this.isWaiting); i++) {
      this.act('arrives', 0)
      this.act('answered', 0)
      this.wait()
    }
  }

  problems(): readonly string[] {
    const own = this.server.stored.filter((ordinal) => ordinal >= 0)
    const known = new Set(own)
    const all = [...this.acknowledged, ...this.unsure, ...this.undelivered].sort((a, b) => a - b)
    const { settled, sealed } = this.state
    return [
      ...(settled === sealed ? [] : [`batch ${settled} of ${sealed} is stuck`]),
      ...(own.every((ordinal, at) => at === 0 || (own[at - 1] ?? -1) < ordinal)
        ? []
        : [`out of order or doubled: ${own.join(' ')}`]),
      ...(all.every((ordinal, at) => ordinal === at) && all.length === sealed
        ? []
        : [`not each batch reported once: ${all.join(' ')}`]),
      ...this.acknowledged.filter((ordinal) => !known.has(ordinal)).map((ordinal) => `${ordinal} is lost`),
      ...this.undelivered
        .filter((ordinal) => known.has(ordinal))
        .map((ordinal) => `${ordinal} is said not to be stored, and is`),
    ]
  }
}

function range(from: number, to: number): readonly number[] {
  return Array.from({ length: to - from }, (_, i) => from + i)
}

const calm: readonly Action[] = [
  'seal',
  'seal',
  'arrives',
  'arrives',
  'answered',
  'answered',
  'answered',
  'wait',
]

function histories(actions: readonly Action[]): fc.Arbitrary<History> {
  const rules = fc.record({
    epoch: fc.constant(0),
    autoClaim: fc.boolean(),
    maxInFlight: fc.integer({ min: 1, max: 5 }),
    maxRetries: fc.constantFrom(0, 2, Number.POSITIVE_INFINITY),
  })
  const moves = fc.array(fc.tuple(fc.constantFrom(...calm, ...actions), fc.nat(9)), {
    maxLength: 120,
    size: 'max',
  })
  return fc.tuple(rules, fc.constantFrom(0, 0, 1, 7), moves).map(([drawn, olderSeq, steps]) => {
    const history = new History(drawn, drawn.autoClaim ? olderSeq : 0)
    for (const [action, pick] of steps) history.act(action, pick)
    history.settle()
    return history
  })
}

const runs = { seed: 20_261_121, numRuns: 3000 }

it('(C-140, C-141) delivers each batch once and in order, or says which it could not, whatever happens', () => {
  const trouble: readonly Action[] = [...NETWORK_ACTIONS, 'rival', 'restart']
  const property = fc.property(histories(trouble), (history) => {
    expect(history.problems()).toEqual([])
  })
  fc.assert(property, runs)
})

it('(C-135, C-141) gives nothing up while the network is merely bad', () => {
  const property = fc.property(histories(NETWORK_ACTIONS), (history) => {
    fc.pre(history.state.rules.maxRetries === Number.POSITIVE_INFINITY)
    expect(history.problems()).toEqual([])
    expect(history.unsure.concat(history.undelivered)).toEqual([])
  })
  fc.assert(property, runs)
})

it('(C-140) gives nothing up when rivals fence it and every request is answered', () => {
  const property = fc.property(histories(['rival', 'arrives', 'answered']), (history) => {
    fc.pre(history.state.rules.autoClaim)
    expect(history.problems()).toEqual([])
    expect(history.unsure.concat(history.undelivered)).toEqual([])
  })
  fc.assert(property, runs)
})

it('keeps what it remembers bounded by the batches in flight', () => {
  const property = fc.property(histories([...NETWORK_ACTIONS, 'rival']), ({ state }) => {
    expect(state.sent.length).toBeLessThanOrEqual(state.rules.maxInFlight)
    expect(state.running).toBe(0)
  })
  fc.assert(property, { ...runs, numRuns: 1000 })
})
