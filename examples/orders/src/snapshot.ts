/** Snapshots: an order that has many events is rebuilt from a saved state and the events since. */
import { loadJson, saveJson } from './json-file.ts'
import { NO_ORDER, type OrderAt, replay } from './replay.ts'

/** Saves the order as it is now, with the offset it belongs to: one is worth nothing without the other. */
export async function takeSnapshot(url: string, path: string): Promise<OrderAt> {
  const order = await restore(url, path)
  await saveJson(path, order)
  return order
}

/** The order as it is now, from the snapshot if there is one, and from the beginning otherwise. */
export async function restore(url: string, path: string): Promise<OrderAt> {
  return replay(url, (await loadJson<OrderAt>(path)) ?? NO_ORDER)
}
