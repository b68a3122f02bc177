/** Patience with an end. */
import type { Clock } from '@millrace/engine'

/** Waits for something to settle, however it does; false if that takes longer. */
export async function settlesWithin(
  what: Promise<unknown> | undefined,
  timeoutMs: number,
  clock: Clock,
): Promise<boolean> {
  if (what === undefined) return true
  return new Promise((resolve) => {
    const timer = clock.setTimer(timeoutMs, () => resolve(false))
    const settled = (): void => {
      timer.cancel()
      resolve(true)
    }
    what.then(settled, settled)
  })
}
