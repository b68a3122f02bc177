/** Readers of the kill rounds: what they have seen of a stream has to be there for ever, at the same offsets. */
import { isReadable, type KillClient } from './kill-client.fixture.ts'

/** Bytes that were read in one piece from an offset on, in the form of `contentOf`. */
export interface Sighting {
  readonly path: string
  readonly incarnation: number
  readonly from: string
  content: string
  /** The last offset that was given out on the way, and the bytes before it. */
  next: { readonly offset: string; readonly length: number } | undefined
  readonly mode: string
}

/** Everything from an offset on. */
export interface WholeRead {
  readonly status: number
  readonly content: string
  readonly nextOffset: string
  readonly isClosed: boolean
}

/** Reads to the end of a stream, page by page. */
export async function readAll(url: string, path: string, from: string, isJson: boolean): Promise<WholeRead> {
  let content = ''
  let offset = from
  for (;;) {
    const response = await fetch(`${url}${path}?offset=${offset}`)
    const body = await textOf(response)
    if (response.status !== 200) return { status: response.status, content, nextOffset: '', isClosed: false }
    content += isJson ? storedForm(body) : body
    offset = response.headers.get('stream-next-offset') ?? ''
    if (response.headers.get('stream-up-to-date') !== 'true') continue
    const isClosed = response.headers.get('stream-closed') === 'true'
    return { status: 200, content, nextOffset: offset, isClosed }
  }
}

const MODES = ['catch-up', 'long-poll', 'sse'] as const

/** Follows the stream of a client, in any way there is, until the server is gone. */
export async function watchStream(
  url: string,
  client: KillClient,
  random: () => number,
  isOver: () => boolean,
): Promise<readonly Sighting[]> {
  const sightings: Sighting[] = []
  try {
    while (!isOver()) {
      await pause(random() * 10)
      const facts = client.world.get(client.path)
      const mode = MODES[Math.floor(random() * MODES.length)] ?? 'catch-up'
      if (facts === undefined || facts.isHidden || !isReadable(client, mode)) continue
      const known = client.offsets.get(client.path) ?? []
      const from = random() < 0.2 ? undefined : known[Math.floor(known.length * (1 - random() ** 3))]
      const sighting: Sighting = {
        path: client.path,
        incarnation: facts.incarnation,
        from: from?.offset ?? '-1',
        content: '',
        next: undefined,
        mode,
      }
      sightings.push(sighting)
      // What a few connections saw last is enough to look for.
      if (sightings.length > 8) sightings.shift()
      if (mode === 'sse') await follow(url, sighting, client.style.kind === 'json')
      else await readOn(url, sighting, client.style.kind === 'json')
    }
  } catch {
    // The server was killed; what had arrived by then stays.
  }
  return sightings
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** A few answers in a row. */
async function readOn(url: string, sighting: Sighting, isJson: boolean): Promise<void> {
  const live = sighting.mode === 'long-poll' ? '&live=long-poll' : ''
  for (let turn = 0; turn < 5; turn++) {
    const offset = sighting.next?.offset ?? sighting.from
    const response = await fetch(`${url}${sighting.path}?offset=${offset}${live}`)
    const body = await textOf(response)
    if (response.status !== 200) return
    sighting.content += isJson ? storedForm(body) : body
    noteOffset(sighting, response.headers.get('stream-next-offset') ?? '')
    if (response.headers.get('stream-closed') === 'true') return
  }
}

async function follow(url: string, sighting: Sighting, isJson: boolean): Promise<void> {
  const response = await fetch(`${url}${sighting.path}?offset=${sighting.from}&live=sse`)
  if (response.status !== 200 || response.body === null) return
  let text = ''
  for await (const chunk of response.body) {
    text += Buffer.from(chunk).toString('latin1')
    let end = text.indexOf('\n\n')
    while (end >= 0) {
      take(sighting, text.slice(0, end), isJson)
      text = text.slice(end + 2)
      end = text.indexOf('\n\n')
    }
  }
}

function take(sighting: Sighting, event: string, isJson: boolean): void {
  const data = event
    .split('\n')
    .flatMap((line) => (line.startsWith('data:') ? [line.slice('data:'.length)] : []))
    .join('\n')
  if (event.startsWith('event: data\n')) sighting.content += isJson ? storedForm(data) : data
  if (!event.startsWith('event: control\n')) return
  const { streamNextOffset } = JSON.parse(data)
  noteOffset(sighting, String(streamNextOffset))
}

function noteOffset(sighting: Sighting, offset: string): void {
  sighting.next = { offset, length: sighting.content.length }
}

/** A JSON array of messages with an end after each, so that two of them can be joined. */
function storedForm(array: string): string {
  return array === '[]' ? '' : `${array.slice(1, -1)},\n`
}

async function textOf(response: Response): Promise<string> {
  return Buffer.from(await response.arrayBuffer()).toString('latin1')
}
