/**
 * A server that knows the producer rules and nothing else, and a network that loses, delays, doubles and reorders:
 * both are driven step by step by drawn numbers, so that a failing history is repeated by its seed.
 */
import type { ProducerAnswer } from './producer-state.ts'

/** One request as the model network carries it. */
export interface ModelRequest {
  readonly ordinal: number
  readonly epoch: number
  readonly seq: number
}

/** One stream with the producer entry of one id. */
export class ModelServer {
  /** Ordinals as they were written; rivals and older incarnations write -1. */
  readonly stored: number[] = []
  #entry: { epoch: number; lastSeq: number } | undefined

  /** Leaves the traces of an earlier process that used the same id and epoch. */
  hadIncarnation(epoch: number, lastSeq: number): void {
    this.#entry = { epoch, lastSeq }
    this.stored.push(-1)
  }

  /** Another claimer takes over with two batches: with one alone, nobody can tell it from a lost answer. */
  rivalClaims(): void {
    this.#entry = { epoch: (this.#entry?.epoch ?? 0) + 1, lastSeq: 1 }
    this.stored.push(-1)
  }

  /** The stream is deleted and created again. */
  forget(): void {
    this.#entry = undefined
  }

  judge({ ordinal, epoch, seq }: ModelRequest): ProducerAnswer {
    const entry = this.#entry
    if (entry === undefined) {
      return seq === 0 ? this.#accept(ordinal, epoch, seq) : gap(0, seq)
    }
    if (epoch < entry.epoch) return { kind: 'fenced', epoch: entry.epoch }
    if (epoch > entry.epoch) {
      if (seq === 0) return this.#accept(ordinal, epoch, seq)
      return { kind: 'refused', error: new Error('a new epoch starts with number 0') }
    }
    if (seq <= entry.lastSeq) return { kind: 'duplicate', highestSeq: entry.lastSeq }
    return seq === entry.lastSeq + 1 ? this.#accept(ordinal, epoch, seq) : gap(entry.lastSeq + 1, seq)
  }

  #accept(ordinal: number, epoch: number, seq: number): ProducerAnswer {
    this.#entry = { epoch, lastSeq: seq }
    this.stored.push(ordinal)
    return { kind: 'stored' }
  }
}

function gap(expectedSeq: number, receivedSeq: number): ProducerAnswer {
  return { kind: 'gap', expectedSeq, receivedSeq }
}

interface Flight {
  readonly request: ModelRequest
  /** Absent until the request reached the server. */
  answer: ProducerAnswer | undefined
}

/** Requests and answers under way. The client hears of each request once, whatever happens to it. */
export class ModelNetwork {
  readonly #server: ModelServer
  readonly #flights: Flight[] = []
  /** Requests whose sender has given up waiting; they may arrive all the same. */
  readonly #strays: ModelRequest[] = []

  constructor(server: ModelServer) {
    this.#server = server
  }

  get isQuiet(): boolean {
    return this.#flights.length === 0
  }

  send(request: ModelRequest): void {
    this.#flights.push({ request, answer: undefined })
  }

  /** One step, named by `action`, on the flight that `pick` chooses; returns what the client hears, if anything. */
  step(action: NetworkAction, pick: number): { ordinal: number; answer: ProducerAnswer } | undefined {
    const at = pick % Math.max(1, this.#flights.length)
    const flight = this.#flights[at]
    if (action === 'stray-arrives') return this.#arriveStray(pick)
    if (flight === undefined) return undefined
    if (action === 'arrives' || action === 'arrives-twice') {
      if (flight.answer !== undefined) return undefined
      flight.answer = this.#server.judge(flight.request)
      // The copy comes right behind: one that waits until another verdict is due would belie the answer.
      if (action === 'arrives-twice') this.#server.judge(flight.request)
      return undefined
    }
    if (action === 'answered' && flight.answer === undefined) return undefined
    this.#flights.splice(at, 1)
    const { request } = flight
    if (action === 'answered' && flight.answer !== undefined) {
      return { ordinal: request.ordinal, answer: flight.answer }
    }
    if (action === 'times-out' && flight.answer === undefined) this.#strays.push(request)
    const mayBeStored = action !== 'turned-away' || flight.answer !== undefined
    const answer = { kind: 'unavailable', error: new Error(action), mayBeStored, retryAfterMs: 0 } as const
    return { ordinal: request.ordinal, answer }
  }

  #arriveStray(pick: number): undefined {
    const [stray] = this.#strays.splice(pick % Math.max(1, this.#strays.length), 1)
    if (stray !== undefined) this.#server.judge(stray)
  }
}

/** What can happen to requests: the last three lose the request, the answer, or the sender's patience. */
export const NETWORK_ACTIONS = [
  'arrives',
  'arrives-twice',
  'answered',
  'stray-arrives',
  'turned-away',
  'lost',
  'times-out',
] as const

export type NetworkAction = (typeof NETWORK_ACTIONS)[number]
