/** Answers the open questions of conversations: one after the other in each, all conversations side by side. */
import type { ChatLog } from './chat-log.ts'
import type { Model } from './fake-model.ts'
import type { ChatEvent } from './page/chat-events.ts'
import type { Exchange } from './page/transcript.ts'

/** What is open is read from the streams: a question is answered whenever somebody wakes its conversation. */
export class AnswerQueue {
  readonly #log: ChatLog
  readonly #model: Model
  readonly #onError: (error: unknown) => void
  readonly #stopping = new AbortController()
  readonly #running = new Map<string, Promise<void>>()

  constructor(log: ChatLog, model: Model, onError: (error: unknown) => void) {
    this.#log = log
    this.#model = model
    this.#onError = onError
  }

  /** Goes on with every answer that the last stop has cut off. */
  async resume(): Promise<void> {
    for (const chat of await this.#log.chats()) this.wake(chat)
  }

  /** Has the open questions of a conversation answered, after those that are being answered already. */
  wake(chat: string): void {
    const before = this.#running.get(chat) ?? Promise.resolve()
    const run = before
      .then(() => this.#answerAll(chat))
      .catch((error: unknown) => {
        if (!this.#stopping.signal.aborted) this.#onError(error)
      })
      .finally(() => {
        if (this.#running.get(chat) === run) this.#running.delete(chat)
      })
    this.#running.set(chat, run)
  }

  /** Ends all answers where they are. Resolves once every token that a model gave is stored. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await Promise.all(this.#running.values())
  }

  async #answerAll(chat: string): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      const transcript = await this.#log.transcript(chat)
      const open = transcript.find(({ isAnswered }) => !isAnswered)
      if (open === undefined) return
      await this.#answer(chat, open)
    }
  }

  async #answer(chat: string, exchange: Exchange): Promise<void> {
    const { id, question, tokens } = exchange
    const { signal } = this.#stopping
    const writer = this.#log.answerWriter(chat, exchange)
    const write = async (event: ChatEvent): Promise<void> => {
      if (!writer.append(event)) await writer.ready
    }
    try {
      let index = tokens
      for await (const text of this.#model({ question, from: tokens, signal })) {
        await write({ kind: 'token', question: id, index, text })
        index += 1
      }
      await write({ kind: 'answered', question: id })
    } finally {
      await writer.flush()
      await writer.detach()
    }
  }
}
