/** Faults: what goes wrong on this side. Thrown, never returned; the server turns them into 500, 503 or 507. */

/**
 * `unavailable`: may work later. `unknown-outcome`: the commit may or may not have happened. `corrupt`: stored
 * bytes are not what was written. `removed`: the stream was purged while it was being read. `storage`: any other
 * failure of the store.
 */
export type FaultCode = 'unavailable' | 'unknown-outcome' | 'corrupt' | 'removed' | 'storage'

/** A failure with a stable code; `message` is for people and logs only. */
export class Fault extends Error {
  override readonly name = 'Fault'
  readonly code: FaultCode

  constructor(code: FaultCode, message: string, cause?: unknown) {
    super(message, { cause })
    this.code = code
  }
}

/** Any thrown value as a fault; what is not one already is a failure of the store. */
export function toFault(error: unknown): Fault {
  if (error instanceof Fault) return error
  return new Fault('storage', error instanceof Error ? error.message : String(error), error)
}
