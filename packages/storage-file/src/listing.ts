/** Listings and due times over layers and home together: a newer layer hides what is below it. */
import { type DueEntry, type StreamSummary, summaryOf } from '@millrace/engine'
import type { StreamPath, StreamState } from '@millrace/protocol'
import type { Home } from './home.ts'
import { dueEnd, keyAfter, parseDueKey, prefixEnd, streamKey } from './home-keys.ts'
import type { Layer } from './layer.ts'
import { decodeStream } from './state-codec.ts'
import type { ReadSources } from './stream-reader.ts'

const PAGE = 256

/** Entries of the home in order, page by page. */
function* entriesOf(home: Home, from: string, end: string): IterableIterator<readonly [string, Uint8Array]> {
  for (let start = from; ; ) {
    const entries = home.range(start, end, PAGE)
    yield* entries
    const last = entries.at(-1)
    if (last === undefined || entries.length < PAGE) return
    start = keyAfter(last[0])
  }
}

function isLayered(layers: readonly Layer[], path: StreamPath): boolean {
  return layers.some((layer) => layer.entries.has(path))
}

/** Streams with a prefix, in bytewise order of the path. */
export function listStreams(
  { home, layers }: ReadSources,
  prefix: string,
  after: StreamPath | undefined,
  limit: number,
): readonly StreamSummary[] {
  const isAsked = (path: string): boolean => path.startsWith(prefix) && path > (after ?? '')
  const found: StreamState[] = []
  const inLayers = layers()
  for (const [age, layer] of inLayers.entries()) {
    for (const [path, { state }] of layer.entries) {
      if (state && isAsked(path) && !isLayered(inLayers.slice(0, age), path)) found.push(state)
    }
  }
  let taken = 0
  const from = after !== undefined && after > prefix ? keyAfter(streamKey(after)) : streamKey(prefix)
  for (const [, value] of entriesOf(home, from, prefixEnd(streamKey(prefix)))) {
    if (taken === limit) break
    const { state } = decodeStream(value)
    if (state.softDeleted || isLayered(inLayers, state.path)) continue
    found.push(state)
    taken++
  }
  return found
    .filter(({ softDeleted }) => !softDeleted)
    .sort((a, b) => (a.path < b.path ? -1 : 1))
    .slice(0, limit)
    .map(summaryOf)
}

/** Streams that are due, earliest first. */
export function streamsDue(
  { home, layers }: ReadSources,
  atOrBeforeMs: number,
  limit: number,
): readonly DueEntry[] {
  const inLayers = layers()
  const found: DueEntry[] = []
  for (const [age, layer] of inLayers.entries()) {
    const newer = inLayers.slice(0, age)
    for (const entry of layer.due.due(atOrBeforeMs, limit)) {
      if (!isLayered(newer, entry.path)) found.push(entry)
    }
  }
  let taken = 0
  for (const [key] of entriesOf(home, 'd/', dueEnd(atOrBeforeMs))) {
    if (taken === limit) break
    const entry = parseDueKey(key)
    if (isLayered(inLayers, entry.path)) continue
    found.push(entry)
    taken++
  }
  return found.sort((a, b) => a.dueAtMs - b.dueAtMs).slice(0, limit)
}
