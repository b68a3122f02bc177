/** Joins abort signals without `AbortSignal.any`, which older browsers lack, and without leaving listeners behind. */
import { FetchBackoffAbortError } from './errors.ts'

/** A signal that follows others, until it is released. */
export interface LinkedSignal {
  readonly signal: AbortSignal
  /** Aborts only the joined signal. */
  abort(reason?: unknown): void
  /** Takes the listeners off the sources. Call it once the work has ended, however it ended. */
  release(): void
}

/** Aborts when one of the sources does, with its reason; at once when one already has. Absent sources count for nothing. */
export function linkSignals(...sources: readonly (AbortSignal | undefined)[]): LinkedSignal {
  const controller = new AbortController()
  const present = sources.filter((source) => source !== undefined)
  const listeners = present.map((source) => [source, () => follow(source)] as const)
  const release = (): void => {
    for (const [source, listener] of listeners) source.removeEventListener('abort', listener)
  }
  const follow = (source: AbortSignal): void => {
    release()
    controller.abort(source.reason)
  }
  const aborted = present.find((source) => source.aborted)
  if (aborted === undefined) {
    for (const [source, listener] of listeners) source.addEventListener('abort', listener)
  } else {
    controller.abort(aborted.reason)
  }
  return {
    signal: controller.signal,
    abort: (reason) => {
      release()
      controller.abort(reason)
    },
    release,
  }
}

/** Waits, in milliseconds. Resolves early, at once, when the signal aborts: look at the signal afterwards. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted === true) return Promise.resolve()
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, Math.min(ms, LONGEST_TIMER_MS))
    signal?.addEventListener('abort', end)
  })
}

/** Timers of the platforms overflow above this and fire at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

/** Whether something can be used as a signal, also one of another realm or library. */
export function isAbortSignal(value: unknown): value is AbortSignal {
  return (
    typeof value === 'object' &&
    value !== null &&
    'aborted' in value &&
    'addEventListener' in value &&
    typeof value.addEventListener === 'function'
  )
}

/** Throws `FetchBackoffAbortError` once a signal has aborted. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw new FetchBackoffAbortError()
}
