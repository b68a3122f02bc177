/** Ways to break a store from outside, to see whether the checks notice. */
import type { StreamStorage } from '@millrace/engine'
import type { Disk, Home } from './store-parts.ts'

/** Wraps what a store stands on, or the store. */
export interface Sabotage {
  readonly disk?: (disk: Disk) => Disk
  readonly home?: (home: Home, disk: Disk) => Home
  readonly storage?: (storage: StreamStorage) => StreamStorage
}
