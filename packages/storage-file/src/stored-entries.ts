/**
 * States of streams as the home has them, decoded. An append to a stream that no layer holds asks three times: when
 * the stream is loaded, when the commit is judged, and when it is applied.
 */

import { changeOf, Fault } from '@millrace/engine'
import type { StreamPath } from '@millrace/protocol'
import { type Home, HomeCorrupt } from './home.ts'
import { streamKey } from './home-keys.ts'
import type { HomeFacts, LayerEntry } from './layer.ts'
import { decodeStream, type StoredStream } from './state-codec.ts'

const MOST_ENTRIES = 1024
const ABSENT: LayerEntry = { state: undefined, version: 0, home: 'nothing' }

/** Right for as long as the home is not changed, or a layer that hides it holds what changes. */
export class StoredEntries {
  readonly #home: Home
  readonly #decoded = new Map<StreamPath, LayerEntry>()

  constructor(home: Home) {
    this.#home = home
  }

  get(path: StreamPath): LayerEntry {
    const known = this.#decoded.get(path)
    if (known !== undefined) return known
    const value = storedValue(this.#home, path)
    if (value === undefined) return ABSENT
    if (this.#decoded.size >= MOST_ENTRIES) this.#decoded.clear()
    const stream = decodeStream(value)
    const entry = { state: stream.state, version: stream.version, home: factsOf(stream) }
    this.#decoded.set(path, entry)
    return entry
  }

  /** To be called before a layer that was written to the home stops hiding it. */
  clear(): void {
    this.#decoded.clear()
  }
}

/** What a checkpoint has to know of a stream in the home. */
export function factsOf({ state, stored, dueAtMs }: StoredStream): HomeFacts {
  return { id: state.id, stored, dueAtMs, usage: changeOf(undefined, state) }
}

function storedValue(home: Home, path: StreamPath): Uint8Array | undefined {
  try {
    return home.get(streamKey(path))
  } catch (error) {
    if (!(error instanceof HomeCorrupt)) throw error
    throw new Fault('corrupt', `Stream ${path}: what the server knows of it is damaged on the disk.`, error)
  }
}
