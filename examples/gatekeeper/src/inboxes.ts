/** The streams as the app uses them: it alone writes. */
import { DurableStream, DurableStreamError } from '@millrace/client'
import { FreshToken } from './page/fresh-token.ts'
import { inboxPath, type Message } from './page/message.ts'
import type { TokenMint } from './token-mint.ts'

/** Inboxes of users, each a stream. */
export class Inboxes {
  readonly #origin: () => string
  readonly #publicOrigin: string | undefined
  readonly #token: FreshToken

  /** `origin` gives where the app finds the streams; browsers find them there, too, unless they are told another one. */
  constructor(origin: () => string, publicOrigin: string | undefined, mint: TokenMint) {
    this.#origin = origin
    this.#publicOrigin = publicOrigin
    this.#token = new FreshToken(() => mint.forApp())
  }

  /** Where a browser reads it. */
  url(userId: string): string {
    return urlAt(this.#publicOrigin ?? this.#origin(), userId)
  }

  /** Doing it again changes nothing. */
  async open(userId: string): Promise<void> {
    await this.#at(userId).create()
  }

  /** Stored once, however often it is sent. False if there is no such inbox. */
  async deliver(userId: string, senderId: string, message: Message): Promise<boolean> {
    const producer = { producerId: `${senderId}/${message.id}`, producerEpoch: 0, producerSeq: 0 }
    return found(this.#at(userId).append(message, producer))
  }

  /** Whoever reads it is told that it is gone. False if it was gone before. */
  async remove(userId: string): Promise<boolean> {
    return found(this.#at(userId).delete())
  }

  #at(userId: string): DurableStream {
    return new DurableStream({
      url: urlAt(this.#origin(), userId),
      contentType: 'application/json',
      headers: { authorization: async () => `Bearer ${await this.#token.get()}` },
      backoffOptions: { maxRetries: 5, maxDelay: 1_000 },
    })
  }
}

function urlAt(origin: string, userId: string): string {
  return `${origin}/v1/stream/${inboxPath(userId)}`
}

async function found(done: Promise<unknown>): Promise<boolean> {
  try {
    await done
    return true
  } catch (error) {
    if (error instanceof DurableStreamError && error.code === 'NOT_FOUND') return false
    throw error
  }
}
