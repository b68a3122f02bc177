/** What happened in a run, in order: a digest of all of it, and the last lines for people. */
import { createHash } from 'node:crypto'

const KEPT_LINES = 120

/** Something that must never happen did. */
export class Violation extends Error {
  override readonly name = 'Violation'
}

/** What is to be said of an error that ended a run; where it came from, unless it is a check. */
export function messageOf(error: unknown): string {
  if (error instanceof Violation) return error.message
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}

/** Fails the run unless a condition holds. */
export function check(holds: boolean, what: () => string): void {
  if (!holds) throw new Violation(what())
}

/** Lines in order. */
export class EventLog {
  readonly #hash = createHash('sha256')
  readonly #lines: string[] = []
  #count = 0

  add(line: string): void {
    this.#count++
    this.#hash.update(`${line}\n`)
    this.#lines.push(`${this.#count} ${line}`)
    if (this.#lines.length > 2 * KEPT_LINES) this.#lines.splice(0, KEPT_LINES)
  }

  /** The last lines. */
  recent(): readonly string[] {
    return this.#lines.slice(-KEPT_LINES)
  }

  /** Ends the log; the same for the same lines. */
  digest(): string {
    return this.#hash.digest('hex').slice(0, 16)
  }
}
