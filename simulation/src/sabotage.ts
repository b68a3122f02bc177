/** Ways to break a store from outside, to see whether the checks notice. */
import type { StreamStorage } from '@millrace/engine'
import type { ReadPort } from './readers.ts'
import type { Disk, Durability, Home } from './store-parts.ts'

/** Wraps what a store stands on, the store, or what readers see of it. */
export interface Sabotage {
  /** The only mode in which it does harm. */
  readonly durability?: Durability
  readonly disk?: (disk: Disk) => Disk
  readonly home?: (home: Home, disk: Disk) => Home
  readonly storage?: (storage: StreamStorage) => StreamStorage
  readonly readPort?: (engine: ReadPort) => ReadPort
}
