/** The store of a run, and the engine on it, with everything around them that watches, breaks or lies. */
import { Engine, type Fault } from '@millrace/engine'
import type { EventLog } from './event-log.ts'
import type { LyingDisk } from './lying-disk.ts'
import type { Machine } from './machine.ts'
import type { OneSync } from './one-sync.ts'
import type { Sabotage } from './sabotage.ts'
import type { StoreModel } from './store-model.ts'
import { type Durability, type FileStore, type Home, openFileStore, type StoreLimits } from './store-parts.ts'
import type { SyncWatch } from './sync-watch.ts'
import type { Tally } from './tally.ts'
import { WatchedStorage } from './watched-storage.ts'

/** What all stores of a run have in common. */
export interface StoreSetup {
  readonly seed: number
  readonly machine: Machine
  readonly model: StoreModel
  readonly log: EventLog
  readonly tally: Tally
  readonly watch: SyncWatch
  readonly oneSync: OneSync
  readonly sabotage: Sabotage
  readonly durability: Durability
  readonly limits: StoreLimits
  /** `undefined`: what the disk says is so. */
  readonly lying: LyingDisk | undefined
}

/** What is to be known of the process that a store belongs to. */
export interface ProcessWatch {
  /** False once a crash has ended it. */
  isAlive(): boolean
  /** Something is wrong that was found inside a promise: the run must end. */
  failed(error: unknown): void
  /** The engine reports a failure of its background work. */
  faulted(fault: Fault): void
}

/** Opens the store on what the machine has. */
export function openStore(setup: StoreSetup): Promise<FileStore> {
  const { machine, log, sabotage, durability, limits, lying } = setup
  const { disk: faulty, home, clock } = machine
  const watched = setup.oneSync.wrap(setup.watch.wrap(lying?.wrap(faulty) ?? faulty))
  const disk = sabotage.disk?.(watched) ?? watched
  const openHome = async (): Promise<Home> => sabotage.home?.(home, disk) ?? home
  return openFileStore({
    disk,
    openHome,
    durability,
    clock,
    limits,
    onRecovered: (report) => log.add(`recovered ${JSON.stringify(report)}`),
    onPoisoned: (error) => log.add(`poisoned: ${String(error)}`),
  })
}

/** An engine whose commits the model hears of. */
export function engineOn(store: FileStore, setup: StoreSetup, process: ProcessWatch): Engine {
  const { seed, machine, model, log, tally, sabotage } = setup
  const note = (line: string): void => {
    if (process.isAlive()) log.add(line)
  }
  const { isAlive, failed } = process
  const inner = sabotage.storage?.(store) ?? store
  return new Engine({
    storage: new WatchedStorage(inner, { model, tally, isAlive, note, failed }),
    clock: machine.clock,
    limits: {
      maxIdleStreams: seed % 3 === 0 ? 0 : 3,
      wakesPerTurn: seed % 2 === 0 ? 1 : 3,
      ...(seed % 5 === 0 ? { chunkBytes: 300, followChunkBytes: 100 } : {}),
    },
    sweepIntervalMs: 300,
    onFault: (fault) => {
      if (process.isAlive()) process.faulted(fault)
    },
  })
}
