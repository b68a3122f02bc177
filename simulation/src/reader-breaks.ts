/** Two ways in which readers could be let down by a store that keeps what it has. */
import type { FollowSink } from '@millrace/engine'
import type { Break } from './breaks.ts'
import { wrapHome } from './port-wrap.ts'
import type { ReadPort } from './readers.ts'
import { RUN_KEY } from './store-parts.ts'

/** Both of them. */
export const READER_BREAKS: readonly Break[] = [
  {
    name: 'wake-up-lost',
    what: 'a reader is now and then not told of what was appended',
    sign: /hangs at [0-9]+, but the tail is/,
    make: () => ({ readPort: forgetful }),
  },
  {
    name: 'offset-given-twice',
    what: 'after a power cut offsets of bytes that were lost are given to others',
    sign: /its bytes past [0-9]+ are lost, but it is served|is rejected: .*invalid-offset/,
    make: () => ({
      durability: 'file-fast',
      home: (home) => wrapHome(home, { get: (key) => (key === RUN_KEY ? undefined : home.get(key)) }),
    }),
  },
]

const TOLD_EVERY = 3

/** Every third slice of bytes for a follower is dropped, as if its wake-up had not come. */
function forgetful(engine: ReadPort): ReadPort {
  return {
    read: (path, start) => engine.read(path, start),
    poll: (path, start, options) => engine.poll(path, start, options),
    follow: async (path, start) => {
      const result = await engine.follow(path, start)
      if (result.kind === 'rejected') return result
      const { kind, state } = result
      return { kind, state, begin: (sink, options) => result.begin(deaf(sink), options) }
    },
  }
}

function deaf(sink: FollowSink): FollowSink {
  let slices = 0
  return {
    deliver: (slice) => ++slices % TOLD_EVERY === 0 || sink.deliver(slice),
    heartbeat: () => sink.heartbeat(),
    end: (why, error) => sink.end(why, error),
  }
}
