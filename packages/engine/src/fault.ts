/** Faults: what goes wrong on this side. Thrown, never returned; the server turns them into 500, 503 or 507. */

/**
 * `unavailable`: may work later. `unknown-outcome`: the commit may or may not have happened. `corrupt`: stored
 * bytes are not what was written. `removed`: the stream was purged while it was being read. `storage`: any other
 * failure of the store.
 */
export type FaultCode = 'unavailable' | 'unknown-outcome' | 'corrupt' | 'removed' | 'storage'

/** Positions of a stream whose bytes are not what was written. */
export interface DamagedRange {
  readonly from: number
  readonly to: number
}

/**
 * A failure with a stable code; `message` is for people and logs only. That of `corrupt` is shown to clients: it
 * says which bytes are damaged, and nothing about the machine.
 */
export class Fault extends Error {
  override readonly name = 'Fault'
  readonly code: FaultCode
  /** With `corrupt`, where it is known: the first damaged bytes of what was to be read. */
  readonly damaged: DamagedRange | undefined

  constructor(code: FaultCode, message: string, cause?: unknown, damaged?: DamagedRange) {
    super(message, { cause })
    this.code = code
    this.damaged = damaged
  }
}

/** Any thrown value as a fault; what is not one already is a failure of the store. */
export function toFault(error: unknown): Fault {
  if (error instanceof Fault) return error
  return new Fault('storage', error instanceof Error ? error.message : String(error), error)
}
