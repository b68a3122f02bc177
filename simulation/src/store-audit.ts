/** What must hold of a store that has just been opened, and of one that everything was deleted from. */
import { joined, ownFrom, type StreamPath } from '@millrace/protocol'
import { check, Violation } from './event-log.ts'
import { auditHome } from './home-audit.ts'
import type { Machine } from './machine.ts'
import { PATHS } from './operation.ts'
import type { ModelStream, StoreModel } from './store-model.ts'
import {
  blockFileNumber,
  type CheckReport,
  checkData,
  type FileStore,
  type Finding,
  type StoreLimits,
  segmentNumber,
} from './store-parts.ts'

/** What a crash leaves may be unfinished, but nothing in it may look damaged to `millrace verify`. */
export async function verifyLeft(machine: Machine): Promise<void> {
  const errors: Finding[] = []
  const report: CheckReport = {
    find: (finding) => {
      if (finding.severity === 'error') errors.push(finding)
    },
    count: () => undefined,
    progress: async () => undefined,
  }
  const { home } = machine
  const readable = {
    get: (key: string) => home.get(key),
    range: (from: string, to: string, limit: number) => home.range(from, to, limit),
    entryCount: undefined,
  }
  await machine.lookAt(() => checkData(machine.disk, readable, report))
  check(errors.length === 0, () => `verify finds damage where there is none: ${JSON.stringify(errors)}`)
}

/** The recovered store holds what was promised, and every byte of it. */
export async function verifyRecovered(
  store: FileStore,
  machine: Machine,
  model: StoreModel,
  sinceCrash: 'power' | 'process',
  wasShort: boolean,
): Promise<void> {
  const summaries = await machine.finish(Promise.resolve(store.list('', undefined, 1000)))
  const listed = summaries.map(({ path }) => path)
  const actual = new Map<StreamPath, ModelStream>()
  for (const path of new Set<StreamPath>([...model.paths, ...listed, ...PATHS])) {
    const [found] = await store.load([path])
    if (found !== undefined) actual.set(path, found)
  }
  const wrong = model.recover(sinceCrash, actual, wasShort)
  if (wrong !== undefined) throw new Violation(wrong)
  await verifyBytes(store, machine, model)
  auditReferences(actual)
  const live = [...actual.values()].filter(({ state }) => !state.softDeleted).map(({ state }) => state.path)
  check(live.sort().join() === listed.join(), () => `the listing is ${listed}, not ${live}`)
  const names = await machine.finish(machine.disk.list('blocks'))
  auditHome(machine.home, new Set(names.flatMap((name) => blockFileNumber(name) ?? [])))
}

/** A stream counts the forks that it has, those that are deleted but still read included. */
function auditReferences(streams: ReadonlyMap<StreamPath, ModelStream>): void {
  const forks = new Map<StreamPath, number>()
  for (const { state } of streams.values()) {
    const source = state.fork?.sourcePath
    if (source === undefined) continue
    forks.set(source, (forks.get(source) ?? 0) + 1)
    const { fork } = state
    check(
      streams.get(source)?.state.id === fork?.sourceId,
      () => `${state.path} is a fork of ${source}, which is no more`,
    )
  }
  for (const [path, { state }] of streams) {
    const count = forks.get(path) ?? 0
    check(state.refCount === count, () => `${path} counts ${state.refCount} forks, but has ${count}`)
    check(!state.softDeleted || count > 0, () => `${path} is kept for forks that it has not`)
  }
}

async function verifyBytes(store: FileStore, machine: Machine, model: StoreModel): Promise<void> {
  for (const [path, { state }] of model.streams) {
    const from = ownFrom(state)
    if (from === state.tail) continue
    const pieces = await machine.finish(Promise.resolve(store.read({ id: state.id, from, to: state.tail })))
    const got = Buffer.from(joined(pieces))
    const expected = model.ownBytes(state.id, from, state.tail)
    check(
      got.equals(expected),
      () => `${path} holds\n${got.toString('latin1')}\nnot\n${expected.toString('latin1')}`,
    )
  }
}

/** Nothing is stored, so next to nothing is on the disk. `emptyBytes` is what a new store has there. */
export async function auditSpace(machine: Machine, emptyBytes: number, limits: StoreLimits): Promise<void> {
  const names = await machine.finish(machine.disk.list('journal'))
  const segments = names.filter((name) => segmentNumber(name) !== undefined)
  check(segments.length <= 4, () => `nothing is stored, but the journal has ${segments.length} segments`)
  const blocks = await machine.finish(machine.disk.list('blocks'))
  check(blocks.length <= 1, () => `nothing is stored, but there are ${blocks.length} block files`)
  const { bytes } = machine.disk.statistics()
  // A spare, a segment that is on its way out, and the block file that was written last: the next checkpoint drops it.
  const most = emptyBytes + 2 * limits.segmentBytes + 2 * blocks.length * limits.blockFileBytes
  check(
    bytes <= most,
    () =>
      `nothing is stored, but ${bytes} bytes are on the disk (${names.join(', ')}; ${blocks.join(', ')}); a new store has ${emptyBytes}`,
  )
  const keys = machine.home.range('a', '~', Number.POSITIVE_INFINITY).map(([key]) => key)
  const left = keys.filter((key) => !key.startsWith('m/') && !key.startsWith('f/'))
  check(left.length === 0, () => `nothing is stored, but the home has ${left.join(', ')}`)
}
