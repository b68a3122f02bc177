/** The messages of one batch: gathered while it is open, one request body once it is sealed. */
import { joinMessages, type WireMessage } from './append-body.ts'
import type { UndeliveredMessages } from './undelivered.ts'

/** A batch that takes no more messages. */
export interface SealedBatch {
  /** Absent for a close without a last message. */
  readonly body: WireMessage | undefined
  readonly contentType: string
  readonly sizeBytes: number
  /** Place of the first message among all that the producer was given, from 0. */
  readonly firstIndex: number
  readonly count: number
  /** The beginnings of the first messages. */
  readonly preview: readonly string[]
  /** Closes the stream, together with its message if it has one. */
  readonly closes: boolean
}

const PREVIEWED_MESSAGES = 3
const PREVIEWED_CHARACTERS = 100

/** Gathers messages at the cost of one array entry each. */
export class OpenBatch {
  readonly contentType: string
  readonly isJson: boolean
  readonly #messages: WireMessage[] = []
  #sizeBytes = 0

  constructor(contentType: string, isJson: boolean) {
    this.contentType = contentType
    this.isJson = isJson
  }

  get count(): number {
    return this.#messages.length
  }

  get sizeBytes(): number {
    return this.#sizeBytes
  }

  add(message: WireMessage, sizeBytes: number): void {
    this.#messages.push(message)
    this.#sizeBytes += sizeBytes
  }

  /** The batch as it will be sent, any number of times. */
  seal(firstIndex: number, closes: boolean): SealedBatch {
    const { contentType, isJson, count, sizeBytes } = this
    const body = count === 0 ? undefined : joinMessages(this.#messages, isJson)
    const preview = this.#messages.slice(0, PREVIEWED_MESSAGES).map(previewOf)
    return { body, contentType, sizeBytes, firstIndex, count, preview, closes }
  }
}

/** What to say of a batch that was given up. */
export function undeliveredIn(batch: SealedBatch, mayBeStored: boolean): UndeliveredMessages {
  const { firstIndex, count, preview } = batch
  return {
    firstIndex,
    lastIndex: firstIndex + Math.max(count, 1) - 1,
    count,
    mayBeStored: mayBeStored ? count : 0,
    preview,
  }
}

function previewOf(message: WireMessage): string {
  if (typeof message !== 'string') return `${message.length} bytes`
  if (message.length <= PREVIEWED_CHARACTERS) return message
  return `${message.slice(0, PREVIEWED_CHARACTERS)}…`
}
