/** One visit to the page without a browser: what the page does between being loaded and being left. */
import type { ChatEvent } from './page/chat-events.ts'
import { followChat, type SavedChat } from './page/follow-chat.ts'
import type { Exchange } from './page/transcript.ts'

/** What stays when the page is reloaded. */
export interface Shelf {
  saved: SavedChat
}

/** A page that is being shown. */
export interface Visit {
  /** Resolves with the newest exchange once it is as wanted; rejects when the page fails before. */
  sees(wanted: (exchange: Exchange) => boolean): Promise<Exchange>
  /** As a reload does: the connection is cut, and only what was saved stays. */
  leave(): Promise<void>
}

/** Opens the page. `urlNow` says where the app is: after a restart it has another port. */
export function visit(shelf: Shelf, urlNow: () => string): Visit {
  const leaving = new AbortController()
  const origin = urlNow()
  const watchers = new Set<() => void>()
  const following = followChat(shelf.saved, {
    origin,
    signal: leaving.signal,
    // As if the app had kept its port, which a test can't reserve.
    fetch: (input, init) => fetch(String(input).replace(origin, urlNow()), init),
    save: (state) => {
      shelf.saved = structuredClone(state)
    },
    show: () => {
      for (const watch of watchers) watch()
    },
  })
  return {
    sees(wanted) {
      const seen = new Promise<Exchange>((resolve) => {
        const watch = (): void => {
          const newest = shelf.saved.transcript.at(-1)
          if (newest !== undefined && wanted(newest)) resolve(newest)
        }
        watchers.add(watch)
        watch()
      })
      const ended = following.then((): never => {
        throw new Error('The page was left')
      })
      return Promise.race([seen, ended])
    },
    async leave() {
      leaving.abort()
      await following.catch((error: unknown) => {
        // Left while it was still connecting.
        if (!leaving.signal.aborted) throw error
      })
    },
  }
}

/** The tokens among the events, with the place that each has in its answer. */
export function tokensIn(events: readonly ChatEvent[]): readonly (readonly [index: number, text: string])[] {
  return events.flatMap((event) => (event.kind === 'token' ? [[event.index, event.text] as const] : []))
}
