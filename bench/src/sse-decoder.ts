/**
 * Splits the text of an event stream into events. Text in, events out; knows no HTTP.
 * Lines end with LF only, which is what the Durable Streams protocol prescribes.
 */

export interface SseListener {
  onEvent(type: string, data: string): void
  onComment(): void
}

const MAX_EVENT_LENGTH = 16 * 1_048_576

export class SseDecoder {
  readonly #listener: SseListener
  #rest = ''

  constructor(listener: SseListener) {
    this.#listener = listener
  }

  feed(text: string): void {
    const all = this.#rest === '' ? text : this.#rest + text
    let start = 0
    for (;;) {
      const end = all.indexOf('\n\n', start)
      if (end < 0) break
      this.#block(all.slice(start, end))
      start = end + 2
    }
    this.#rest = all.slice(start)
    if (this.#rest.length > MAX_EVENT_LENGTH) throw new Error('an SSE event without an end')
  }

  #block(block: string): void {
    let type = 'message'
    let data: string | undefined
    for (const line of block.split('\n')) {
      if (line.startsWith('data:')) {
        const piece = line.startsWith('data: ') ? line.slice(6) : line.slice(5)
        data = data === undefined ? piece : `${data}\n${piece}`
      } else if (line.startsWith('event:')) {
        type = line.slice(6).trim()
      } else if (line.startsWith(':')) {
        this.#listener.onComment()
      }
    }
    if (data !== undefined) this.#listener.onEvent(type, data)
  }
}
