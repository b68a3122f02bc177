/**
 * What must hold of a store whose disk has lied about syncs before the power went. It cannot have kept its promises;
 * but what it gives was written there once, what is damaged is called so, and nothing hangs.
 */
import { Engine } from '@millrace/engine'
import { joined, ownFrom, type StreamPath, type StreamState } from '@millrace/protocol'
import { check } from './event-log.ts'
import { appendCommand, bodyFor, PATHS } from './operation.ts'
import type { SeededRandom } from './seeded-random.ts'
import type { FileStore } from './store-parts.ts'
import type { StoreSetup } from './store-setup.ts'

/** How a store says that its data is not whole; a simulated disk says `there is no` of a file that is gone. */
const DAMAGE = /^(JournalDamaged|HomeCorrupt|BlockDamaged|ForeignDirectory|Fault)|^Error: there is no /
/** Numbers of the operations of this audit; no client comes this far. */
const FIRST_OP = 1_000_000

/** Whether an error says that data is damaged or missing. */
export function isDamageReport(error: unknown): boolean {
  return DAMAGE.test(String(error))
}

/** Goes through everything that the store has, writes to it, and goes through it again. */
export async function auditLied(store: FileStore, setup: StoreSetup, random: SeededRandom): Promise<void> {
  const { machine, model, tally } = setup
  model.believeAll()
  const found = new Map<StreamPath, StreamState>()
  for (const path of new Set([...PATHS, ...model.pathsEver])) {
    const [entry] = await attempt(setup, async () => store.load([path]), [])
    if (entry === undefined) continue
    check(
      model.hasBeen(path, entry),
      () => `${path} is in a state that it never had: ${JSON.stringify(entry)}`,
    )
    found.set(path, entry.state)
    await auditBytes(
      store,
      setup,
      entry.state,
      model.ownBytes(entry.state.id, ownFrom(entry.state), entry.state.tail),
    )
  }
  tally.add('lies', found.size > 0 ? 'opened with streams' : 'opened empty')
  const engine = new Engine({ storage: store, clock: machine.clock, onFault: () => undefined })
  for (const state of found.values()) await auditAppend(store, setup, { engine, random, state })
  await attempt(setup, () => machine.finish(engine.close()), undefined)
}

/** The bytes that were there, or a word that they are damaged. */
async function auditBytes(
  store: FileStore,
  setup: StoreSetup,
  state: StreamState,
  expected: Buffer,
): Promise<void> {
  const from = ownFrom(state)
  const to = from + expected.length
  if (to === from) return
  const read = (): Promise<readonly Uint8Array[]> =>
    setup.machine.finish(Promise.resolve().then(() => store.read({ id: state.id, from, to })))
  const pieces = await attempt(setup, read, undefined)
  if (pieces === undefined) return
  const got = Buffer.from(joined(pieces))
  check(
    got.equals(expected),
    () =>
      `${state.path}: after lies a read gives\n${got.toString('latin1')}\nnot\n${expected.toString('latin1')}`,
  )
  setup.tally.add('lies', 'stream read whole')
}

interface AppendAudit {
  readonly engine: Engine
  readonly random: SeededRandom
  readonly state: StreamState
}

async function auditAppend(store: FileStore, setup: StoreSetup, audit: AppendAudit): Promise<void> {
  const { machine, model } = setup
  const { engine, random, state } = audit
  const { path, mediaType } = state
  if (state.closed || state.softDeleted || mediaType === 'application/json') return
  const body = bodyFor(mediaType, FIRST_OP, random)
  const words = {
    op: FIRST_OP,
    path,
    mediaType,
    body,
    closes: false,
    producer: undefined,
    streamSeq: undefined,
  }
  const outcome = await attempt(setup, () => machine.finish(engine.append(appendCommand(words))), undefined)
  await attempt(setup, () => machine.finish(store.checkpoint()), undefined)
  const before = model.ownBytes(state.id, ownFrom(state), state.tail)
  const isIn = outcome?.kind === 'appended'
  await auditBytes(store, setup, state, isIn ? Buffer.concat([before, body]) : before)
}

/** What a call gives, or `otherwise` if it says that something is damaged. */
async function attempt<T>(setup: StoreSetup, call: () => Promise<T>, otherwise: T): Promise<T> {
  try {
    return await call()
  } catch (error) {
    check(isDamageReport(error), () => `after lies: ${error instanceof Error ? error.stack : String(error)}`)
    setup.tally.add('lies', `damage noticed: ${String(error).split(':')[0]}`)
    return otherwise
  }
}
