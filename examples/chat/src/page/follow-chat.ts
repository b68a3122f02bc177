/** Follows a conversation, and remembers how far it got together with what it has shown. */
import { type Offset, stream } from '@millrace/client'
import { type ChatEvent, chatPath } from './chat-events.ts'
import { applyEvent, type Transcript } from './transcript.ts'

/** What a page needs after a reload. One value: a transcript and an offset of different moments lose or repeat tokens. */
export interface SavedChat {
  readonly chat: string
  /** Where to read on from. */
  readonly offset: Offset
  /** Everything before the offset. */
  readonly transcript: Transcript
}

/** Where to follow, and where to put what comes. */
export interface FollowOptions {
  /** Origin of the app, such as `http://127.0.0.1:4438`. */
  readonly origin: string
  /** Keeps the state so that a reload finds it. Called before `show`. */
  readonly save: (state: SavedChat) => void
  readonly show: (state: SavedChat) => void
  readonly signal?: AbortSignal
  /** Makes the requests instead of the global `fetch`. */
  readonly fetch?: typeof globalThis.fetch
}

/** A conversation that nobody has read yet. */
export function newChat(chat: string): SavedChat {
  return { chat, offset: '-1', transcript: [] }
}

/** Goes on from a saved state. Resolves when aborted; rejects when the server refuses. Waits for a server that is down. */
export async function followChat(start: SavedChat, options: FollowOptions): Promise<void> {
  const { origin, save, show, signal, fetch } = options
  let state = start
  const response = await stream<ChatEvent>({
    url: `${origin}${chatPath(start.chat)}`,
    offset: start.offset,
    live: 'sse',
    warnOnHttp: false,
    backoffOptions: { maxDelay: 2_000 },
    signal,
    fetch,
  })
  response.subscribeJson<ChatEvent>(({ items, offset }) => {
    // An abort ends the session, but not a call that was already due.
    if (signal?.aborted) return
    state = { ...state, offset, transcript: items.reduce(applyEvent, state.transcript) }
    save(state)
    show(state)
  })
  await response.closed
}
