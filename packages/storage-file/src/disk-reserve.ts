/**
 * Room set aside for checkpoints. Deletions make room only once a checkpoint has applied them, and it has to write
 * before it can remove anything: on a disk that is full to the last byte it could never begin. While the reserve is
 * spent, nothing but checkpoints may use the room that it left.
 */
import { type Disk, DiskFull } from './disk.ts'
import { writeZeros } from './zeros.ts'

/** The file that holds the room. */
export const RESERVE_FILE = 'reserve'

/** A file of zeros that is given up when the disk is full, and made again when there is room. */
export class DiskReserve {
  readonly #disk: Disk
  readonly #sizeBytes: number
  #isHeld = false
  /** It was needed, or there is no room for it: writes that add bytes are to be refused until `hold` succeeds. */
  isSpent = false

  constructor(disk: Disk, sizeBytes: number) {
    this.#disk = disk
    this.#sizeBytes = sizeBytes
  }

  /** Makes sure that the room is there. Throws `DiskFull` if it is not. */
  async hold(): Promise<void> {
    if (this.#isHeld) return
    if (!(await this.#isThere())) await this.#allocate()
    this.#isHeld = true
    this.isSpent = false
  }

  /** The same where a disk that is full is no failure: `isSpent` says so. */
  async holdIfRoom(): Promise<void> {
    try {
      await this.hold()
    } catch (error) {
      if (!(error instanceof DiskFull)) throw error
    }
  }

  /** Gives the room to whoever writes next; false if there was none to give. */
  async spend(): Promise<boolean> {
    const isThere = this.#isHeld || (await this.#disk.exists(RESERVE_FILE))
    this.#isHeld = false
    this.isSpent = true
    if (isThere) await this.#disk.remove(RESERVE_FILE)
    return isThere
  }

  /** A crash may have left a part of it. */
  async #isThere(): Promise<boolean> {
    if (!(await this.#disk.exists(RESERVE_FILE))) return false
    const file = await this.#disk.open(RESERVE_FILE)
    const size = await file.size()
    await file.close()
    if (size === this.#sizeBytes) return true
    await this.#disk.remove(RESERVE_FILE)
    return false
  }

  async #allocate(): Promise<void> {
    const file = await this.#disk.create(RESERVE_FILE)
    try {
      await writeZeros(file, 0, this.#sizeBytes)
    } catch (error) {
      await file.close()
      if (error instanceof DiskFull) {
        this.isSpent = true
        await this.#disk.remove(RESERVE_FILE)
      }
      throw error
    }
    await file.close()
  }
}
