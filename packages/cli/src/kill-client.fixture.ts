/** A client of a server that is killed: the only writer of its streams, and its memory of what it was told. */

/** What a client knows of one stream. An operation whose answer never came may have happened or not. */
interface KnownStream {
  readonly path: string
  /** Numbers of acknowledged appends, in order. */
  readonly acknowledged: number[]
  /** Sent, but not answered. */
  readonly unknown: Set<number>
  created: boolean
  closed: Certainty
  deleted: Certainty
  /** For a fork: its source, and the numbers that it inherited. */
  readonly source: string | undefined
  readonly inherited: readonly number[]
}

type Certainty = 'no' | 'maybe' | 'yes'

/** One message: its number says how long its padding is, so that a torn one shows. */
interface Message {
  readonly n: number
  readonly pad: string
}

const JSON_TYPE = { 'content-type': 'application/json' }
const PADDINGS = [0, 20, 300, 300, 300, 4000, 70_000]

/** A client that appends, closes, deletes and forks, one request after the other. */
export class KillClient {
  readonly #name: string
  readonly #usesProducer: boolean
  readonly #random: () => number
  readonly #streams: KnownStream[] = []
  #next = 0
  #seq = 0

  constructor(index: number, random: () => number) {
    this.#name = `/v1/stream/kill/${index}`
    this.#usesProducer = index % 2 === 0
    this.#random = random
    this.#begin(undefined)
  }

  /** The stream that is written to at the moment. */
  get path(): string {
    return this.#current().path
  }

  get acknowledged(): number {
    return this.#streams.reduce((sum, { acknowledged }) => sum + acknowledged.length, 0)
  }

  /** Works until it is told to stop or the server is gone. */
  async work(url: string, isOver: () => boolean): Promise<void> {
    try {
      while (!isOver()) await this.#act(url)
    } catch (error) {
      // The server was killed: what is unknown was noted before it was sent.
      if (error instanceof WrongAnswer) throw error
    }
  }

  /** What is wrong with the streams as a server has them. */
  async check(url: string): Promise<readonly string[]> {
    const found: string[] = []
    for (const stream of this.#streams) found.push(...(await checkStream(url, stream)))
    return found
  }

  async #act(url: string): Promise<void> {
    const stream = this.#current()
    if (!stream.created) {
      const fork = stream.source === undefined ? undefined : { 'stream-forked-from': stream.source }
      await send(url, 'PUT', stream.path, { ...JSON_TYPE, ...fork }, [201, 200])
      stream.created = true
      return
    }
    const draw = this.#random()
    if (stream.closed !== 'no') await this.#closeAndGoOn(url, stream)
    else if (stream.deleted !== 'no' || draw < 0.01) await this.#deleteAndGoOn(url, stream)
    else if (draw < 0.02) await this.#closeAndGoOn(url, stream)
    else if (draw < 0.03 && stream.unknown.size === 0) this.#begin(stream)
    else await this.#append(url, stream)
  }

  async #append(url: string, stream: KnownStream): Promise<void> {
    // A producer repeats what was not answered; others leave it and go on with the next number.
    const [repeated] = this.#usesProducer ? stream.unknown : []
    const n = repeated ?? this.#next++
    stream.unknown.add(n)
    const padding = PADDINGS[n % PADDINGS.length] ?? 0
    const headers: Record<string, string> = { ...JSON_TYPE }
    if (this.#usesProducer) {
      headers['producer-id'] = 'p'
      headers['producer-epoch'] = '0'
      headers['producer-seq'] = String(stream.acknowledged.length)
    } else headers['stream-seq'] = String(n).padStart(12, '0')
    await send(url, 'POST', stream.path, headers, [200, 204], JSON.stringify({ n, pad: 'x'.repeat(padding) }))
    stream.unknown.delete(n)
    stream.acknowledged.push(n)
  }

  async #closeAndGoOn(url: string, stream: KnownStream): Promise<void> {
    stream.closed = 'maybe'
    await send(url, 'POST', stream.path, { 'stream-closed': 'true' }, [204])
    stream.closed = 'yes'
    this.#begin(undefined)
  }

  async #deleteAndGoOn(url: string, stream: KnownStream): Promise<void> {
    const wasTried = stream.deleted === 'maybe'
    stream.deleted = 'maybe'
    await send(url, 'DELETE', stream.path, {}, wasTried ? [204, 404, 410] : [204])
    stream.deleted = 'yes'
    this.#begin(undefined)
  }

  /** Goes on with another stream, new or a fork; the one before stays as it is. */
  #begin(source: KnownStream | undefined): void {
    this.#streams.push({
      path: `${this.#name}/${this.#seq++}`,
      acknowledged: [],
      unknown: new Set(),
      created: false,
      closed: 'no',
      deleted: 'no',
      source: source?.path,
      inherited: source === undefined ? [] : [...source.inherited, ...source.acknowledged],
    })
  }

  #current(): KnownStream {
    const stream = this.#streams.at(-1)
    if (stream === undefined) throw new Error('a client has a stream')
    return stream
  }
}

/** An answer that no state of the stream explains. */
class WrongAnswer extends Error {
  override readonly name = 'WrongAnswer'
}

async function send(
  url: string,
  method: string,
  path: string,
  headers: Readonly<Record<string, string>>,
  expected: readonly number[],
  body?: string,
): Promise<Response> {
  const response = await fetch(`${url}${path}`, { method, headers, ...(body !== undefined && { body }) })
  if (!expected.includes(response.status)) {
    throw new WrongAnswer(`${method} ${path} was answered ${response.status}: ${await response.text()}`)
  }
  return response
}

/** Everything acknowledged is there once and in order; what else is there was sent, once, and never answered. */
async function checkStream(url: string, stream: KnownStream): Promise<readonly string[]> {
  const { path } = stream
  const response = await fetch(`${url}${path}?offset=-1`)
  if (response.status === 404 || response.status === 410) {
    const mayBeGone = !stream.created || stream.deleted !== 'no'
    return mayBeGone ? [] : [`${path} is gone (${response.status})`]
  }
  if (response.status !== 200) return [`${path} is answered ${response.status}: ${await response.text()}`]
  if (stream.deleted === 'yes') return [`${path} was deleted and is back`]
  const messages = await allMessages(url, path, response)
  const numbers = messages.map(({ n }) => n)
  const known = new Set([...stream.inherited, ...stream.acknowledged, ...stream.unknown])
  const present = new Set(numbers)
  const torn = messages.filter(({ n, pad }) => pad.length !== (PADDINGS[n % PADDINGS.length] ?? 0))
  const lost = [...stream.inherited, ...stream.acknowledged].filter((n) => !present.has(n))
  const isClosed = (await fetch(`${url}${path}`, { method: 'HEAD' })).headers.get('stream-closed') === 'true'
  return [
    ...lost.map((n) => `${path}: ${n} was acknowledged and is lost`),
    ...numbers.filter((n) => !known.has(n)).map((n) => `${path}: ${n} was never sent`),
    ...torn.map(({ n }) => `${path}: ${n} is torn`),
    ...(isAscending(numbers) ? [] : [`${path}: out of order or doubled: ${numbers.join(' ')}`]),
    ...(stream.closed === 'yes' && !isClosed ? [`${path} was closed and is open`] : []),
    ...(stream.closed === 'no' && isClosed ? [`${path} is closed, and nobody closed it`] : []),
  ]
}

async function allMessages(url: string, path: string, first: Response): Promise<readonly Message[]> {
  const messages: Message[] = []
  for (let response = first; ; ) {
    messages.push(...(JSON.parse(await response.text()) as readonly Message[]))
    if (response.headers.has('stream-up-to-date')) return messages
    response = await fetch(`${url}${path}?offset=${response.headers.get('stream-next-offset') ?? ''}`)
  }
}

function isAscending(numbers: readonly number[]): boolean {
  return numbers.every((n, at) => at === 0 || (numbers[at - 1] ?? 0) < n)
}
