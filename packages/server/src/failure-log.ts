/** Tells of requests that failed on this side. */
import { Fault } from '@millrace/engine'

/** A store that refuses all writes is told of once, not again with each of them. */
export class FailureLog {
  readonly #onError: (error: unknown) => void
  #isRefusalTold = false

  constructor(onError: (error: unknown) => void) {
    this.#onError = onError
  }

  /** `refusesWrites`: why the store takes none at the moment, if it does not. */
  tell(error: unknown, refusesWrites: string | undefined): void {
    const isRefusal = refusesWrites !== undefined && error instanceof Fault && error.code === 'unavailable'
    const isKnown = isRefusal && this.#isRefusalTold
    this.#isRefusalTold = refusesWrites !== undefined && (isRefusal || this.#isRefusalTold)
    if (!isKnown) this.#onError(error)
  }
}
