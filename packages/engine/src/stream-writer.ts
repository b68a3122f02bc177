/**
 * Runs commands: take the entities, decide on their decided state and hand the commit over in one synchronous
 * step, answer when everything the answer rests on is durable. There are no locks: nothing reads a state, awaits,
 * and then writes it back.
 */
import {
  type Change,
  type Decision,
  dueAtMs,
  evolve,
  type Outcome,
  type StreamId,
  type StreamPath,
  type StreamState,
  type View,
} from '@millrace/protocol'
import type { Entity } from './entity.ts'
import type { EntityTable } from './entity-table.ts'
import { Fault, toFault } from './fault.ts'
import { type GroupCommit, type Settled, Ticket } from './group-commit.ts'
import type { EngineLimits } from './limits.ts'
import { changeOf, plus, type Quota } from './quota.ts'
import type { StateChange, StreamStorage, Usage } from './storage.ts'
import type { WakeUps } from './wake-ups.ts'

/** A command ready to be judged. It is judged again if the state it was judged on turns out to be outdated. */
export interface Judgement {
  readonly paths: readonly StreamPath[]
  decide(view: View, nowMs: number): Decision
  /**
   * Whether judging again after an unknown outcome finds out by itself if the first time counted: never, always, or
   * as long as the stream is the same one.
   */
  readonly repeatable: 'never' | 'always' | 'on-same-stream'
  /** A repeat restarts the sliding window of the stream, as the first time did. */
  readonly renewsOnRepeat: boolean
}

/** What a command came to; stale: it has to be prepared again. */
export type Verdict = Outcome | { readonly kind: 'stale' }

const BUSY: Outcome = {
  kind: 'rejected',
  rejection: { kind: 'busy', detail: 'The server has more writes in flight than it allows: try again.' },
}
const FULL: Outcome = {
  kind: 'rejected',
  rejection: {
    kind: 'no-room',
    detail: 'The store has no room for this write: delete streams or add space.',
  },
}
const BEHIND: Outcome = {
  kind: 'rejected',
  rejection: {
    kind: 'busy',
    detail: 'The disk cannot keep up; nothing of this write was stored: try again.',
  },
}
const CONTENDED: Outcome = {
  kind: 'rejected',
  rejection: { kind: 'busy', detail: 'Other writers kept changing this stream first: try again.' },
}

/** The one place where streams change. */
export class StreamWriter {
  readonly #table: EntityTable
  readonly #commits: GroupCommit
  readonly #wakeUps: WakeUps
  readonly #storage: StreamStorage
  readonly #limits: EngineLimits
  readonly #quota: Quota | undefined
  readonly #nowMs: () => number

  constructor(
    table: EntityTable,
    commits: GroupCommit,
    wakeUps: WakeUps,
    storage: StreamStorage,
    limits: EngineLimits,
    quota: Quota | undefined,
    nowMs: () => number,
  ) {
    this.#table = table
    this.#commits = commits
    this.#wakeUps = wakeUps
    this.#storage = storage
    this.#limits = limits
    this.#quota = quota
    this.#nowMs = nowMs
  }

  /** Judges a command, commits what it decides, and reports once that is settled. */
  async run(judgement: Judgement): Promise<Verdict> {
    const entities = judgement.paths.map((path) => this.#table.pin(path))
    let uncertainOn: StreamId | undefined
    try {
      for (let attempt = 1; attempt <= this.#limits.maxAttempts; attempt++) {
        const loading = this.#table.load(entities)
        if (loading !== undefined) await loading
        // A conflict elsewhere may have outdated one entity while another was still loading.
        if (entities.some((entity) => !entity.loaded)) continue
        if (uncertainOn !== undefined && entities[0]?.decided?.id !== uncertainOn) throw nobodyKnows()
        const before = entities[0]?.decided?.id
        const verdict = await this.#attempt(judgement, entities)
        if (verdict === 'unknown' && judgement.repeatable === 'on-same-stream') uncertainOn = before
        else if (verdict !== 'again' && verdict !== 'unknown') return verdict
      }
      return CONTENDED
    } finally {
      for (const entity of entities) this.#table.unpin(entity)
    }
  }

  async #attempt(judgement: Judgement, entities: readonly Entity[]): Promise<Verdict | 'again' | 'unknown'> {
    const { maxPendingCommits, maxPendingBytes } = this.#limits
    if (this.#commits.pendingCommits >= maxPendingCommits || this.#commits.pendingBytes >= maxPendingBytes) {
      return BUSY
    }
    const nowMs = this.#nowMs()
    for (const entity of entities) this.keepAlive(entity, nowMs)
    const decision = judgement.decide(viewOf(entities), nowMs)
    switch (decision.kind) {
      case 'accept': {
        const touched = toTouched(decision.changes, entities, nowMs)
        const refused = this.#quota?.refusal(growthOf(touched))
        if (refused !== undefined) return { kind: 'rejected', rejection: refused }
        const ticket = this.#submit(touched)
        const settled = ticket.settled ?? (await ticket.outcome())
        return afterCommit(settled, decision.outcome, judgement.repeatable)
      }
      case 'repeat':
      case 'reject': {
        const stood = await this.#restsOnDurable(entities)
        if (!stood) return 'again'
        if (decision.kind === 'reject') return { kind: 'rejected', rejection: decision.rejection }
        if (judgement.renewsOnRepeat) for (const entity of entities) this.touch(entity, this.#nowMs())
        return decision.outcome
      }
      case 'stale':
        return decision
      default:
        return decision satisfies never
    }
  }

  /** Waits for the commits that an answer rests on; false if one of them did not happen. */
  async #restsOnDurable(entities: readonly Entity[]): Promise<boolean> {
    // All of them before the first wait: one that settles meanwhile is no longer noted at its stream.
    const tickets = entities.flatMap(({ inFlight }) => inFlight ?? [])
    for (const ticket of tickets) {
      const settled = ticket.settled ?? (await ticket.outcome())
      if (settled.kind === 'failed') throw toFault(settled.error)
      if (settled.result !== 'durable') return false
    }
    return true
  }

  #submit(touched: readonly Touched[]): Ticket {
    const ticket = new Ticket({ changes: touched.map(({ change }) => change) })
    this.#countIn(touched, ticket)
    for (const { entity, change } of touched) {
      entity.pins++
      entity.decide(change.next, ticket)
    }
    ticket.onSettled((settled) => {
      for (const { entity, change } of touched) this.#settle(entity, change, ticket, settled)
    })
    this.#commits.submit(ticket)
    return ticket
  }

  #countIn(touched: readonly Touched[], ticket: Ticket): void {
    const quota = this.#quota
    if (quota === undefined) return
    const growth = growthOf(touched)
    quota.decided(growth)
    ticket.onSettled((settled) => quota.settled(growth, mayBeStored(settled)))
  }

  #settle(entity: Entity, change: StateChange, ticket: Ticket, settled: Settled): void {
    if (entity.inFlight === ticket) entity.inFlight = undefined
    if (settled.kind === 'result' && settled.result === 'durable') {
      entity.settle(change.next)
      this.#wakeUps.moved(entity)
    } else {
      entity.invalidate()
    }
    this.#table.unpin(entity)
  }

  /** A stream with live readers does not expire by its sliding window (12.3). */
  keepAlive(entity: Entity, nowMs: number): void {
    if (entity.readers > 0 && entity.isHalfway(nowMs)) this.touch(entity, nowMs)
  }

  /** Restarts the sliding window of a stream after a read or a repeated write. */
  touch(entity: Entity, nowMs: number): void {
    const due = entity.touch(nowMs)
    const id = entity.decided?.id
    if (due === undefined || id === undefined) return
    this.#storage.touch([{ path: entity.path, id, atMs: nowMs, dueAtMs: due }])
  }
}

/** A stream and what becomes of it. */
interface Touched {
  readonly entity: Entity
  readonly change: StateChange
}

function toTouched(
  changes: readonly Change[],
  entities: readonly Entity[],
  nowMs: number,
): readonly Touched[] {
  return changes.map((change) => {
    const entity = entities.find((one) => one.path === change.path)
    if (entity === undefined) throw new Error(`a command changed ${change.path}, which it did not name`)
    return { entity, change: toStateChange(entity, change, nowMs) }
  })
}

function growthOf(touched: readonly Touched[]): Usage {
  return touched.map(({ entity, change }) => changeOf(entity.decided, change.next)).reduce(plus)
}

/** What nobody knows of counts as stored: a limit is rather kept too well. */
function mayBeStored(settled: Settled): boolean {
  return settled.kind === 'failed' || settled.result === 'durable' || settled.result === 'unknown'
}

function viewOf(entities: readonly Entity[]): View {
  return { stream: (path) => entities.find((entity) => entity.path === path)?.decided }
}

function afterCommit(
  settled: Settled,
  outcome: Outcome,
  repeatable: Judgement['repeatable'],
): Verdict | 'again' | 'unknown' {
  if (settled.kind === 'failed') throw toFault(settled.error)
  switch (settled.result) {
    case 'durable':
      return outcome
    case 'conflict':
      return 'again'
    case 'full':
      return FULL
    case 'busy':
      return BEHIND
    case 'unknown':
      if (repeatable === 'never') throw nobodyKnows()
      return 'unknown'
    default:
      return settled.result satisfies never
  }
}

function nobodyKnows(): Fault {
  return new Fault('unknown-outcome', 'The store did not say whether the write happened.')
}

function toStateChange(entity: Entity, change: Change, nowMs: number): StateChange {
  let next: StreamState | undefined = entity.decided
  const before = next
  let payloadAt = 0
  let messages = 0
  for (const event of change.events) {
    if (event.kind === 'appended' && event.unit) {
      payloadAt = next?.tail ?? 0
      messages = event.unit.messages
    }
    next = evolve(next, event)
  }
  const id = next?.id ?? before?.id
  if (id === undefined) throw new Error(`a change of ${change.path} concerns no stream`)
  return {
    path: change.path,
    id,
    version: entity.version,
    events: change.events,
    next,
    payload: change.payload,
    payloadAt,
    messages,
    atMs: nowMs,
    dueAtMs: next === undefined ? undefined : dueAtMs(next),
  }
}
