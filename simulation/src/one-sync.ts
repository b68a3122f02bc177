/**
 * Sees whether two syncs of one file or folder run at the same time. A sync that fails takes with it what it could not
 * write, and one beside it succeeds without: a store that does this will one day believe the second.
 */
import { Violation } from './event-log.ts'
import { wrapDisk, wrapFiles } from './port-wrap.ts'
import { BLOCK_FOLDER, type Disk, type DiskFile, JOURNAL_FOLDER } from './store-parts.ts'

/** Watches the disk of one run. */
export class OneSync {
  /** What was seen first. */
  failure: Violation | undefined

  /** The same disk, watched. */
  wrap(disk: Disk): Disk {
    const watched = (file: DiskFile, name: string): Partial<DiskFile> => ({
      sync: this.#alone(name, () => file.sync()),
    })
    const folders = new Map<string, () => Promise<void>>()
    return wrapDisk(wrapFiles(wrapFiles(disk, JOURNAL_FOLDER, watched), BLOCK_FOLDER, watched), {
      syncFolder: (folder) => {
        const sync = folders.get(folder) ?? this.#alone(folder, () => disk.syncFolder(folder))
        folders.set(folder, sync)
        return sync()
      },
    })
  }

  #alone(name: string, sync: () => Promise<void>): () => Promise<void> {
    let isUnderWay = false
    return async () => {
      if (isUnderWay) this.failure ??= new Violation(`two syncs of ${name} at the same time`)
      isUnderWay = true
      await sync().finally(() => {
        isUnderWay = false
      })
    }
  }
}
