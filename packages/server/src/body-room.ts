/** How much of request bodies may be in memory at a time, all requests together. */
import type { ReceivingRoom } from '@millrace/protocol'

/** Counts the bytes of bodies that are still coming in. */
export class BodyRoom implements ReceivingRoom {
  #left: number

  constructor(bytes: number) {
    this.#left = bytes
  }

  take(bytes: number): boolean {
    if (bytes > this.#left) return false
    this.#left -= bytes
    return true
  }

  give(bytes: number): void {
    this.#left += bytes
  }
}
