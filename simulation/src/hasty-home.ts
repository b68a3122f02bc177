/** A home whose changes count at once and are flushed whenever it may be. */
import { wrapHome } from './port-wrap.ts'
import type { Home, HomeChange } from './store-parts.ts'

/** Wraps a home so that commits resolve before they are flushed. */
export function hastyHome(home: Home): Home {
  const waiting: (readonly HomeChange[])[] = []
  let last: Promise<void> = Promise.resolve()
  const pending = (): ReadonlyMap<string, Uint8Array | undefined> => new Map(waiting.flat())
  return wrapHome(home, {
    get: (key) => {
      const changed = pending()
      return changed.has(key) ? changed.get(key)?.slice() : home.get(key)
    },
    range: (from, to, limit) => {
      const entries = new Map(home.range(from, to, Number.POSITIVE_INFINITY))
      for (const [key, value] of pending()) {
        if (key < from || key >= to) continue
        if (value === undefined) entries.delete(key)
        else entries.set(key, value.slice())
      }
      return [...entries].sort(([one], [other]) => (one < other ? -1 : 1)).slice(0, limit)
    },
    commit: async (changes) => {
      waiting.push(changes)
      // A crash, or a failure that nobody hears of, may end it.
      last = home.commit(changes).then(
        () => void waiting.shift(),
        () => undefined,
      )
    },
    close: async () => {
      await last
      await home.close()
    },
  })
}
