/** SSE as a live body: a follower's slices, encoded once for all readers at the same place. */
import type { FollowOptions, FollowResult, FollowSink } from '@millrace/engine'
import {
  encodeControlEvent,
  encodeDataEvent,
  joined,
  type LiveBody,
  type LiveSink,
  nextCursor,
  type Slice,
  SSE_HEARTBEAT,
} from '@millrace/protocol'

type Following = Extract<FollowResult, { kind: 'following' }>

/** What the events of one reader depend on. */
export interface SseContext {
  readonly follow: FollowOptions
  /** The cursor the client sent. */
  readonly cursor: string | undefined
  nowMs(): number
  random(): number
  onError(error: unknown): void
}

/** The events of a slice as bytes; shared by its readers, and freed with it. */
interface Encoded {
  readonly cursor: bigint
  readonly bytes: Uint8Array
}

const encodedSlices = new WeakMap<Slice, Encoded>()

function encode(slice: Slice, cursor: bigint): Uint8Array {
  const known = encodedSlices.get(slice)
  if (known?.cursor === cursor) return known.bytes
  const control = encodeControlEvent(slice, cursor)
  const bytes = slice.from === slice.to ? control : joined([encodeDataEvent(slice), control])
  encodedSlices.set(slice, { cursor, bytes })
  return bytes
}

/** The body of one SSE response. */
export function sseBody(following: Following, context: SseContext): LiveBody {
  return {
    start(sink) {
      const follower = following.begin(new SseSink(sink, context), context.follow)
      follower.resume()
      return follower
    },
  }
}

class SseSink implements FollowSink {
  readonly #sink: LiveSink
  readonly #context: SseContext
  /** This client's cursors never go back, and start past the one it sent. */
  #leastCursor: bigint

  constructor(sink: LiveSink, context: SseContext) {
    this.#sink = sink
    this.#context = context
    this.#leastCursor = nextCursor(context.cursor, context.nowMs(), context.random)
  }

  deliver(slice: Slice): boolean {
    const current = nextCursor(undefined, this.#context.nowMs(), this.#context.random)
    if (current > this.#leastCursor) this.#leastCursor = current
    return this.#sink.write(encode(slice, this.#leastCursor))
  }

  heartbeat(): void {
    this.#sink.write(SSE_HEARTBEAT)
  }

  end(why: 'closed' | 'removed' | 'lifetime' | 'shutdown' | 'failed', error?: unknown): void {
    if (why === 'failed') {
      this.#context.onError(error)
      this.#sink.abort()
    } else {
      this.#sink.end()
    }
  }
}
