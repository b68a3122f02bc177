/** A live reader of a server that is killed: what it has seen stays, at the offsets at which it has seen it. */

interface Seen {
  readonly path: string
  /** Everything received, in order. */
  text: string
  offset: string
}

/** Follows one stream after the other by long-poll or SSE, going on from its last offset after each restart. */
export class KillReader {
  readonly #mode: 'long-poll' | 'sse'
  readonly #streams: Seen[] = []

  constructor(mode: 'long-poll' | 'sse') {
    this.#mode = mode
  }

  get receivedBytes(): number {
    return this.#streams.reduce((sum, { text }) => sum + text.length, 0)
  }

  /** Reads a path until it is told to stop, the stream ends or the server is gone. */
  async follow(url: string, pathNow: () => string, isOver: () => boolean): Promise<void> {
    try {
      while (!isOver()) await this.#read(url, this.#seenOf(pathNow()))
    } catch {
      // The server was killed: what was received is kept.
    }
  }

  /** What a server has now against what was seen: the same messages, from the same offsets on. */
  async check(url: string): Promise<readonly string[]> {
    const found: string[] = []
    for (const { path, text, offset } of this.#streams) {
      const whole = await readAll(url, path, '-1')
      if (whole === undefined) continue
      if (!whole.startsWith(text)) found.push(`${path}: a reader has seen what is not there any more`)
      const rest = await readAll(url, path, offset)
      if (rest !== whole.slice(text.length)) found.push(`${path}: ${offset} is not where a reader was`)
    }
    return found
  }

  #seenOf(path: string): Seen {
    const last = this.#streams.at(-1)
    if (last?.path === path) return last
    const next: Seen = { path, text: '', offset: '-1' }
    this.#streams.push(next)
    return next
  }

  async #read(url: string, seen: Seen): Promise<void> {
    const response = await fetch(`${url}${seen.path}?offset=${seen.offset}&live=${this.#mode}`)
    if (response.status === 404 || response.status === 410) {
      await new Promise((resolve) => setTimeout(resolve, 5))
      return
    }
    if (this.#mode === 'sse') await this.#readEvents(response, seen)
    else if (response.status === 200 || response.status === 204) {
      seen.text += await itemsOf(await response.text())
      seen.offset = response.headers.get('stream-next-offset') ?? seen.offset
    }
  }

  /** Data counts when the control event after it has come: only then is its offset known. */
  async #readEvents(response: Response, seen: Seen): Promise<void> {
    const decoder = new TextDecoder()
    let buffer = ''
    let data = ''
    for await (const chunk of response.body ?? []) {
      buffer += decoder.decode(chunk, { stream: true })
      for (let end = buffer.indexOf('\n\n'); end >= 0; end = buffer.indexOf('\n\n')) {
        const lines = buffer.slice(0, end).split('\n')
        buffer = buffer.slice(end + 2)
        const payload = lines
          .filter((line) => line.startsWith('data:'))
          .map((line) => line.slice(5))
          .join('\n')
        if (lines[0] === 'event: data') data = payload
        if (lines[0] !== 'event: control') continue
        seen.text += itemsOf(data)
        seen.offset = (JSON.parse(payload) as { readonly streamNextOffset: string }).streamNextOffset
        data = ''
      }
    }
  }
}

async function readAll(url: string, path: string, from: string): Promise<string | undefined> {
  let text = ''
  for (let offset = from; ; ) {
    const response = await fetch(`${url}${path}?offset=${offset}`)
    if (response.status !== 200) return undefined
    text += itemsOf(await response.text())
    offset = response.headers.get('stream-next-offset') ?? ''
    if (response.headers.has('stream-up-to-date')) return text
  }
}

/** Messages of a JSON answer in a form that can be joined and compared. */
function itemsOf(json: string): string {
  if (json === '') return ''
  const items = JSON.parse(json) as readonly { readonly n: number; readonly pad: string }[]
  return items.map(({ n, pad }) => `${n}:${pad.length};`).join('')
}
