/** All readers of a run together. */
import { check } from './event-log.ts'
import { Reader, type ReaderWorld } from './readers.ts'
import type { SeededRandom } from './seeded-random.ts'

/** The readers of a run; they outlive every process that serves them. */
export class Audience {
  readonly #readers: readonly Reader[]

  constructor(size: number) {
    this.#readers = Array.from({ length: size }, (_, at) => new Reader(`r${at}`))
  }

  /** One of them does something. */
  act(random: SeededRandom, world: ReaderWorld): void {
    random.pick(this.#readers).act(world)
  }

  crashed(): void {
    for (const reader of this.#readers) reader.crashed()
  }

  /** What they have seen is still so. `mayHaveLost`: acknowledged bytes need not all be there. */
  recovered(world: ReaderWorld, mayHaveLost: boolean): void {
    for (const reader of this.#readers) reader.recovered(world, mayHaveLost)
  }

  /** Nothing is under way: whoever waits is where there is nothing to be had. */
  checkWaiting(world: ReaderWorld): void {
    for (const reader of this.#readers) reader.checkWaiting(world)
  }

  /** No more is written: all of them go on to the tail. */
  followToEnd(world: ReaderWorld): void {
    for (const reader of this.#readers) reader.followToEnd(world)
  }

  /** Whoever could take no more takes what is there. */
  takeMore(): void {
    for (const reader of this.#readers) reader.takeMore()
  }

  /** Whoever serves them is gone, or there is nothing left to serve. */
  checkReleased(): void {
    for (const { isLive, name } of this.#readers) check(!isLive, () => `${name} waits for nobody`)
  }

  /** What is wrong that one of them has found. */
  get failure(): unknown {
    return this.#readers.find(({ failure }) => failure !== undefined)?.failure
  }
}
