/** The streams that a copy of a home knows, with the positions up to which the copy's blocks hold them. */
import { type Offset, offsetAt, ownBytes, type StreamId, type StreamPath } from '@millrace/protocol'
import { keyAfter, prefixEnd } from './home-keys.ts'
import { readHomeFile } from './lmdb-home.ts'
import { decodeStream } from './state-codec.ts'

/** A stream as a snapshot holds it. */
export interface SavedStream {
  readonly path: StreamPath
  readonly id: StreamId
  /** Position of its end. */
  readonly tail: number
  /** The same as the token that clients know. */
  readonly offset: Offset
  readonly closed: boolean
  /** Bytes of its own: without those of the stream it was forked from. */
  readonly ownBytes: number
}

const PAGE = 500

/**
 * The streams in the home's file of a snapshot, in order of their paths, some hundred at a time; without those that
 * were deleted and are kept for their forks. The file is not changed, but LMDB makes a lock file beside it, which may
 * be removed afterwards. Throws `HomeCorrupt` if a value is damaged.
 */
export async function* savedStreams(homeFile: string): AsyncIterableIterator<readonly SavedStream[]> {
  const home = readHomeFile(homeFile)
  try {
    for (let from = 's/'; ; ) {
      const entries = home.range(from, prefixEnd('s/'), PAGE)
      yield entries.flatMap(([, value]) => {
        const { state } = decodeStream(value)
        if (state.softDeleted) return []
        const { path, id, tail, closed } = state
        return [{ path, id, tail, offset: offsetAt(state, tail), closed, ownBytes: ownBytes(state) }]
      })
      const last = entries.at(-1)
      if (last === undefined || entries.length < PAGE) return
      from = keyAfter(last[0])
    }
  } finally {
    await home.close()
  }
}
