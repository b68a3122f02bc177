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
  const live = [...actual.values()].filter(({ state }) => !state.softDeleted).map(({ state }) => state.path)
  check(live.sort().join() === listed.join(), () => `the listing is ${listed}, not ${live}`)
  const names = await machine.finish(machine.disk.list('blocks'))
  auditHome(machine.home, new Set(names.flatMap((name) => blockFileNumber(name) ?? [])))
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

/** Nothing is stored, so next to nothing is on the disk. */
export async function auditSpace(machine: Machine): Promise<void> {
  const names = await machine.finish(machine.disk.list('journal'))
  const segments = names.filter((name) => segmentNumber(name) !== undefined)
  check(segments.length <= 4, () => `nothing is stored, but the journal has ${segments.length} segments`)
  const blocks = await machine.finish(machine.disk.list('blocks'))
  check(blocks.length <= 2, () => `nothing is stored, but there are ${blocks.length} block files`)
}
