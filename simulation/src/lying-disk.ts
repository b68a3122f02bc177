/** A disk that now and then says that it has synced, and has not. A power cut shows what that was worth. */
import { wrapDisk, wrapFiles } from './port-wrap.ts'
import type { SeededRandom } from './seeded-random.ts'
import { BLOCK_FOLDER, type Disk, type DiskFile, JOURNAL_FOLDER } from './store-parts.ts'

/** The liar of one run. */
export class LyingDisk {
  readonly #random: SeededRandom
  readonly #share: number
  /** How often it has lied. */
  lies = 0

  constructor(random: SeededRandom) {
    this.#random = random
    this.#share = random.pick([0.05, 0.3, 1])
  }

  /** The same disk, whose syncs of files and folders may do nothing. */
  wrap(disk: Disk): Disk {
    const lying = (file: DiskFile): Partial<DiskFile> => ({ sync: () => this.#sync(() => file.sync()) })
    const files = wrapFiles(wrapFiles(disk, JOURNAL_FOLDER, lying), BLOCK_FOLDER, lying)
    return wrapDisk(files, { syncFolder: (folder) => this.#sync(() => disk.syncFolder(folder)) })
  }

  async #sync(really: () => Promise<void>): Promise<void> {
    if (!this.#random.chance(this.#share)) return really()
    this.lies++
  }
}
