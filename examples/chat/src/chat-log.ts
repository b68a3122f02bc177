/** The conversations as streams: one for each, and one that names them all. */
import { DurableStream, IdempotentProducer, stream } from '@millrace/client'
import { type ChatEvent, chatPath } from './page/chat-events.ts'
import { applyEvent, type Exchange, type Transcript } from './page/transcript.ts'

const CONTENT_TYPE = 'application/json'
const INDEX_PATH = '/v1/stream/chat-index'

/** Reads and writes the streams of a Millrace in the same process. */
export class ChatLog {
  readonly #fetch: typeof globalThis.fetch

  /** Requests go straight to the handler: nothing is sent over the network. */
  constructor(handle: (request: Request) => Promise<Response>) {
    this.#fetch = (input, init) => handle(new Request(input, init))
  }

  /** Begins a conversation, or finds it. Doing it again changes nothing. */
  async begin(chat: string): Promise<void> {
    await this.#at(chatPath(chat)).create()
    const index = await this.#at(INDEX_PATH).create()
    await index.append(JSON.stringify(chat), { producerId: chat, producerEpoch: 0, producerSeq: 0 })
  }

  /** Stores a question once, however often it is sent. Rejects with `NOT_FOUND` if there is no such conversation. */
  async ask(chat: string, question: string, text: string): Promise<void> {
    const event: ChatEvent = { kind: 'question', id: question, text }
    const producer = { producerId: `question-${question}`, producerEpoch: 0, producerSeq: 0 }
    await this.#at(chatPath(chat)).append(event, producer)
  }

  /** The names of all conversations. */
  async chats(): Promise<readonly string[]> {
    const index = await this.#at(INDEX_PATH).create()
    return (await index.stream<string>({ live: false })).json<string>()
  }

  /** The conversation as it is stored. */
  async transcript(chat: string): Promise<Transcript> {
    const url = this.#url(chatPath(chat))
    const response = await stream<ChatEvent>({ url, live: false, fetch: this.#fetch })
    return (await response.json<ChatEvent>()).reduce(applyEvent, [])
  }

  /**
   * Writes the rest of an answer. The epoch is the number of tokens that are stored: it is greater than that of whoever
   * wrote them, so that a writer of before is fenced off and cannot write any of them a second time.
   */
  answerWriter(chat: string, { id, tokens }: Exchange): IdempotentProducer {
    return new IdempotentProducer(this.#at(chatPath(chat)), `answer-${id}`, { epoch: tokens, lingerMs: 0 })
  }

  #at(path: string): DurableStream {
    return new DurableStream({ url: this.#url(path), contentType: CONTENT_TYPE, fetch: this.#fetch })
  }

  /** A host is needed, but none is asked. */
  #url(path: string): string {
    return `http://localhost${path}`
  }
}
