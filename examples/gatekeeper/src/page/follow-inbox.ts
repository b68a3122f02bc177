/** Follows an inbox for as long as somebody is logged in, with one token after the other. */
import { createFetchWithBackoff, FetchError, type LiveMode, type Offset, stream } from '@millrace/client'
import { FreshToken, type MintedToken } from './fresh-token.ts'
import type { Message } from './message.ts'

/** The app gives no more tokens: the session is over, or the account is. */
export class LoggedOut extends Error {
  override readonly name = 'LoggedOut'
}

/** Where to follow, and where to put what comes. */
export interface FollowOptions {
  /** URL of the app, which gives tokens. */
  readonly appUrl: string
  readonly inboxUrl: string
  readonly show: (messages: readonly Message[]) => void
  /** Called when all that there was has been shown. */
  readonly onUpToDate?: () => void
  readonly offset?: Offset
  readonly live?: LiveMode
  readonly signal?: AbortSignal
  /** Makes the requests instead of the global `fetch`. */
  readonly fetch?: typeof globalThis.fetch
}

/**
 * Resolves when aborted. Rejects with `LoggedOut`, and with what the streams refuse, such as an inbox that is gone.
 * Whenever a token is over, the live answer ends, and the next request has a new one: nothing is missed or repeated.
 */
export async function followInbox(options: FollowOptions): Promise<void> {
  const { appUrl, inboxUrl, show, onUpToDate, offset = '-1', live = 'sse', signal } = options
  const send = options.fetch ?? globalThis.fetch
  const tokens = new FreshToken(() => askForToken(appUrl, send, signal))
  const response = await stream<Message>({
    url: inboxUrl,
    offset,
    live,
    headers: { authorization: async () => `Bearer ${await tokens.get()}` },
    // A token can be over by the time it arrives.
    onError: (error) => {
      if (!(error instanceof FetchError) || error.status !== 401) return
      tokens.forget()
      return {}
    },
    warnOnHttp: false,
    backoffOptions: { maxDelay: 2_000 },
    signal,
    fetch: options.fetch,
  })
  response.subscribeJson<Message>(({ items, upToDate }) => {
    // An abort ends the session, but not a call that was already due.
    if (signal?.aborted) return
    show(items)
    if (upToDate) onUpToDate?.()
  })
  await response.closed
}

/** Waits for an app that is down. */
async function askForToken(
  appUrl: string,
  send: typeof globalThis.fetch,
  signal: AbortSignal | undefined,
): Promise<MintedToken> {
  const persistent = createFetchWithBackoff(send, { maxDelay: 2_000 })
  try {
    const answer = await persistent(`${appUrl}/token`, { method: 'POST', signal: signal ?? null })
    return (await answer.json()) as MintedToken
  } catch (error) {
    if (error instanceof FetchError && error.status === 401) throw new LoggedOut('Log in again.')
    throw error
  }
}
