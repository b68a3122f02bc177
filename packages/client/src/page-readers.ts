/** Pages collected into a list, or as a `ReadableStream` that fetches only what is read. */
import { asAsyncIterableReadableStream, type ReadableStreamAsyncIterable } from './iterable-stream.ts'
import type { Page } from './page-source.ts'
import type { Session } from './session.ts'

/** What each page has, up to the last. Rejects with the reason when the session is cancelled before. */
export async function collectPages<P>(session: Session, partOf: (page: Page) => P): Promise<P[]> {
  const parts: P[] = []
  try {
    for (;;) {
      const page = await session.take()
      if (page === undefined) throw session.abortReason
      parts.push(partOf(page))
      session.show(page)
      if (page.isLast) break
    }
  } catch (error) {
    session.fail(error)
    throw error
  }
  session.finish()
  return parts
}

/** One chunk for each page that has something. */
export function pageStream<P extends string | Uint8Array>(
  session: Session,
  partOf: (page: Page) => P,
): ReadableStreamAsyncIterable<P> {
  return lazyStream(session, async (controller) => {
    for (;;) {
      const page = await session.take()
      if (page === undefined) return 'end'
      const part = partOf(page)
      session.show(page)
      if (part.length > 0) controller.enqueue(part)
      if (page.isLast) return 'end'
      if (part.length > 0) return 'more'
    }
  })
}

/** One chunk for each item; the position moves with the last item of a page, so that a checkpoint loses none. */
export function itemStream<T>(
  session: Session,
  itemsOf: (page: Page) => readonly T[],
): ReadableStreamAsyncIterable<T> {
  let page: Page | undefined
  let items: readonly T[] = []
  let next = 0
  return lazyStream(session, async (controller) => {
    while (next >= items.length) {
      page = await session.take()
      if (page === undefined) return 'end'
      items = itemsOf(page)
      next = 0
      if (items.length > 0) break
      session.show(page)
      if (page.isLast) return 'end'
    }
    controller.enqueue(items[next++] as T)
    if (next < items.length || page === undefined) return 'more'
    session.show(page)
    return page.isLast ? 'end' : 'more'
  })
}

/** Pulls only while somebody reads. A failure is the stream's error and the session's; cancelling one cancels the other. */
function lazyStream<T>(
  session: Session,
  pull: (controller: ReadableStreamDefaultController<T>) => Promise<'more' | 'end'>,
): ReadableStreamAsyncIterable<T> {
  const stream = new ReadableStream<T>(
    {
      async pull(controller) {
        try {
          if ((await pull(controller)) === 'more') return
          session.finish()
          controller.close()
        } catch (error) {
          session.fail(error)
          throw error
        }
      },
      cancel: (reason) => session.cancel(reason),
    },
    { highWaterMark: 0 },
  )
  return asAsyncIterableReadableStream(stream)
}
