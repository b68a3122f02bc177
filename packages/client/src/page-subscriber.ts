/** Calls back with one batch after the other. */
import type { Page } from './page-source.ts'
import type { Session } from './session.ts'

/**
 * Returns what ends it. The position is moved before each call, the next call waits for the last. `report` is told what
 * went wrong, and whether `closed` rejects with it: not when the session was cancelled before.
 */
export function subscribe<B>(
  session: Session,
  toBatch: (page: Page) => B,
  subscriber: (batch: B) => void | Promise<void>,
  report: (error: unknown, isOnClosed: boolean) => void,
): () => void {
  callForAll(session, toBatch, subscriber).then(
    () => session.finish(),
    (error: unknown) => {
      report(error, session.fail(error))
    },
  )
  return () => session.cancel()
}

async function callForAll<B>(
  session: Session,
  toBatch: (page: Page) => B,
  subscriber: (batch: B) => void | Promise<void>,
): Promise<void> {
  while (await callOnce(session, toBatch, subscriber));
}

/** A function of its own, so that a batch is garbage when the next one is parsed. False after the last one. */
async function callOnce<B>(
  session: Session,
  toBatch: (page: Page) => B,
  subscriber: (batch: B) => void | Promise<void>,
): Promise<boolean> {
  const page = await session.take()
  if (page === undefined) return false
  const batch = toBatch(page)
  session.show(page)
  await subscriber(batch)
  return !page.isLast
}
