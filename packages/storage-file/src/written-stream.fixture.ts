/** A stream as its only writer sees it: makes the changes that the engine would make, and knows what it holds. */

import type { StateChange, StreamStorage } from '@millrace/engine'
import {
  DEFAULT_CONTENT_TYPE,
  evolve,
  NEVER,
  parseStreamPath,
  type StreamEvent,
  type StreamId,
  type StreamPath,
  type StreamState,
  streamId,
} from '@millrace/protocol'

/** One stream of a store; its bytes are kept to be compared. */
export class WrittenStream {
  readonly path: StreamPath
  readonly id: StreamId
  /** Everything acknowledged so far. */
  bytes: Buffer = Buffer.alloc(0)
  #state: StreamState | undefined
  #version = 0

  constructor(path: string) {
    const parsed = parseStreamPath(path)
    if (parsed.kind !== 'stream') throw new Error(`${path} is not a stream path`)
    this.path = parsed.path
    this.id = streamId(`id-${path}`)
  }

  create(store: StreamStorage): Promise<void> {
    const type = DEFAULT_CONTENT_TYPE
    const { id, path } = this
    const config = { id, path, contentType: type, mediaType: type, expiry: NEVER, fork: undefined }
    return this.#commit(store, { kind: 'created', config, atMs: 1 })
  }

  async append(store: StreamStorage, payload: Buffer): Promise<void> {
    const unit = { sizeBytes: payload.length, messages: 1 }
    const rest = {
      closes: false,
      producer: undefined,
      streamSeq: undefined,
      forgetBeforeMs: undefined,
      atMs: 1,
    }
    await this.#commit(store, { kind: 'appended', unit, ...rest }, payload)
    this.bytes = Buffer.concat([this.bytes, payload])
  }

  purge(store: StreamStorage): Promise<void> {
    return this.#commit(store, { kind: 'purged' })
  }

  async #commit(store: StreamStorage, event: StreamEvent, payload?: Buffer): Promise<void> {
    const next = evolve(this.#state, event)
    const change: StateChange = {
      path: this.path,
      id: this.id,
      version: this.#version,
      events: [event],
      next,
      payload,
      payloadAt: this.#state?.tail ?? 0,
      messages: payload === undefined ? 0 : 1,
      atMs: 1,
      dueAtMs: undefined,
    }
    const [result] = await store.commit([{ changes: [change] }])
    if (result !== 'durable') throw new Error(`a commit was answered ${result}`)
    this.#state = next
    this.#version = next === undefined ? 0 : this.#version + 1
  }
}
