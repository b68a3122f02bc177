/** How many streams a store has, and their bytes: counted in the home along with what is counted, so never by a walk. */
import { changeOf, plus, type Usage } from '@millrace/engine'
import type { Home } from './home.ts'
import { HomeCorrupt } from './home.ts'
import { streamKey, USAGE_KEY } from './home-keys.ts'
import { decodeStream, decodeUsage } from './state-codec.ts'
import type { ReadSources } from './stream-reader.ts'

/** What the home alone has; `undefined` if it was not counted from the start, or the count is damaged. */
export function usageIn(home: Pick<Home, 'get'>): Usage | undefined {
  try {
    const value = home.get(USAGE_KEY)
    return value && decodeUsage(value)
  } catch (error) {
    if (!(error instanceof HomeCorrupt)) throw error
    // Whoever needs it counts the streams instead; a check of the directory reports the damage.
    return undefined
  }
}

/** The same with what is not yet in the home. Reads as many entries as the layers have. */
export function usageOf({ home, layers }: ReadSources): Usage | undefined {
  const inLayers = layers()
  let usage = usageIn(home)
  for (const [age, layer] of inLayers.entries()) {
    const newer = inLayers.slice(0, age)
    for (const [path, { state }] of layer.entries) {
      if (usage === undefined) return undefined
      if (newer.some(({ entries }) => entries.has(path))) continue
      const value = home.get(streamKey(path))
      usage = plus(usage, changeOf(value && decodeStream(value).state, state))
    }
  }
  return usage
}
