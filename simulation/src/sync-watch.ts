/** Sees which records are synced, so that the model knows what `file-fast` has promised to a power cut. */

import { areRecords } from './journal-bytes.ts'
import { wrapFiles } from './port-wrap.ts'
import type { StoreModel } from './store-model.ts'
import { type Disk, type DiskFile, JOURNAL_FOLDER } from './store-parts.ts'

/** Watches the files of one run that hold journal records. */
export class SyncWatch {
  readonly #model: StoreModel
  #current: object | undefined
  /** A sync has failed: what it forgot is not on the disk, whatever later ones say. */
  #hasFailed = false

  constructor(model: StoreModel) {
    this.#model = model
  }

  /** The same disk, watched. */
  wrap(disk: Disk): Disk {
    this.#hasFailed = false
    return wrapFiles(disk, JOURNAL_FOLDER, (file) => this.#watched(file))
  }

  #watched(file: DiskFile): Partial<DiskFile> {
    const model = this.#model
    const mark = {}
    return {
      write: (position, pieces) => {
        if (areRecords(position, pieces)) this.#current = mark
        return file.write(position, pieces)
      },
      sync: async () => {
        // What is acknowledged by now was written before this sync began.
        const count = model.acknowledged
        const generation = model.generation
        await file.sync().catch((error: unknown) => {
          this.#hasFailed = true
          throw error
        })
        if (!this.#hasFailed && this.#current === mark && model.generation === generation)
          model.syncedUpTo(count)
      },
    }
  }
}
