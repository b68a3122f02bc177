/** Incremental parser of `text/event-stream`: text in pieces of any size comes in, whole events go out. Pure. */

/** An event with a name and at least one data line. */
export interface SseEvent {
  readonly name: string
  /** The data lines, joined by LF. */
  readonly data: string
}

/** Takes LF, CRLF and CR as line ends, also when a piece ends between CR and LF, and nothing else. */
export class SseParser {
  /** Text of a line whose end has not come yet, in pieces. */
  #line = ''
  /** The piece before ended in CR: an LF that follows at once belongs to it. */
  #afterCr = false
  #name = ''
  #data: string | undefined

  /** The events that this piece completes. */
  push(text: string): SseEvent[] {
    const events: SseEvent[] = []
    let start = this.#afterCr && text.startsWith('\n') ? 1 : 0
    if (text !== '') this.#afterCr = text.endsWith('\r')
    let cr = text.indexOf('\r', start)
    for (;;) {
      if (cr >= 0 && cr < start) cr = text.indexOf('\r', start)
      const lf = text.indexOf('\n', start)
      const end = cr >= 0 && (lf < 0 || cr < lf) ? cr : lf
      if (end < 0) break
      const line = this.#line + text.slice(start, end)
      this.#line = ''
      start = end === cr && lf === end + 1 ? end + 2 : end + 1
      if (line === '') this.#dispatch(events)
      else this.#takeField(line)
    }
    this.#line += text.slice(start)
    return events
  }

  /** The event that the end of the input completes, if there is one. */
  end(): SseEvent[] {
    const events: SseEvent[] = []
    if (this.#line !== '') this.#takeField(this.#line)
    this.#line = ''
    this.#dispatch(events)
    return events
  }

  #takeField(line: string): void {
    if (line.startsWith('data:')) {
      const value = fieldValue(line, 5)
      this.#data = this.#data === undefined ? value : `${this.#data}\n${value}`
    } else if (line.startsWith('event:')) {
      this.#name = fieldValue(line, 6)
    } else if (line === 'data') {
      this.#data = this.#data === undefined ? '' : `${this.#data}\n`
    }
  }

  #dispatch(events: SseEvent[]): void {
    if (this.#name !== '' && this.#data !== undefined) events.push({ name: this.#name, data: this.#data })
    this.#name = ''
    this.#data = undefined
  }
}

/** Without the one space that may follow the colon. */
function fieldValue(line: string, start: number): string {
  return line.slice(line.charCodeAt(start) === 0x20 ? start + 1 : start)
}
