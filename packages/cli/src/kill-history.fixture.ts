/**
 * What one client of the kill rounds knows for sure about its streams, and what a request would make of that. Pure:
 * a history is a value, and a request whose answer never came leaves two of them, before and after.
 */

/** What is stored in a stream; `text` is written with Stream-Seq. */
export type Kind = 'json' | 'binary' | 'text'

/** One message: its bytes follow from its number and its size. */
export interface Message {
  readonly number: number
  readonly size: number
}

/** A stream as its only writer knows it. */
export interface StreamFacts {
  /** Counts the streams that its client has made: a path is used again. */
  readonly incarnation: number
  readonly messages: readonly Message[]
  readonly isClosed: boolean
  /** Deleted, but kept for its fork. */
  readonly isHidden: boolean
  /** The next number of its producer. */
  readonly producerSeq: number
  /** Headers and body of the newest append, and the status that repeating it is answered with. */
  readonly last: { readonly request: Request; readonly repeated: number } | undefined
}

/** The streams of a client by path. */
export type World = ReadonlyMap<string, StreamFacts>

/** What is sent. */
export interface Request {
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer | undefined
}

/** A request and everything that follows from it. */
export interface Operation {
  readonly name: string
  readonly request: Request
  /** The status of the first time. */
  readonly status: number
  /** The statuses of a repetition that finds it done; `undefined` if it would be done twice. */
  readonly repeated: readonly number[] | undefined
  readonly after: World
}

/** What a client writes, and how. */
export interface Style {
  readonly kind: Kind
  readonly usesProducer: boolean
}

/** The media type of a kind. */
export function contentType(kind: Kind): string {
  if (kind === 'json') return 'application/json'
  return kind === 'text' ? 'text/plain' : 'application/octet-stream'
}

/** A message as it is sent: its number is all over it, so that torn and mixed bytes show. */
export function messageText(kind: Kind, { number, size }: Message): string {
  const filler = `${number}.`.repeat(Math.ceil(size / 2)).slice(0, size)
  if (kind === 'json') return JSON.stringify({ n: number, pad: filler })
  // Bytes above 127 make it no text.
  return kind === 'binary' ? `\u00ff${number}:${filler}\u00fe` : `${number}:${filler};`
}

/** Everything in a stream, one character a byte, with the end of each message as `readAll` gives it. */
export function contentOf(kind: Kind, messages: readonly Message[]): string {
  const end = kind === 'json' ? ',\n' : ''
  return messages.map((message) => messageText(kind, message) + end).join('')
}

/** A stream that does not exist yet, with a body or without. */
export function create(
  world: World,
  path: string,
  kind: Kind,
  messages: readonly Message[],
  closes: boolean,
  incarnation: number,
): Operation {
  const headers = { 'content-type': contentType(kind), ...(closes && { 'stream-closed': 'true' }) }
  const facts: StreamFacts = { ...EMPTY, incarnation, messages, isClosed: closes }
  return {
    name: 'create',
    request: { method: 'PUT', path, headers, body: bodyOf(kind, messages) },
    status: 201,
    repeated: [200],
    after: changed(world, path, facts),
  }
}

/** A stream that begins with the first `count` messages of another. */
export function fork(
  world: World,
  source: string,
  path: string,
  start: { readonly count: number; readonly offset: string },
  incarnation: number,
): Operation {
  const headers = { 'stream-forked-from': source, 'stream-fork-offset': start.offset }
  const messages = world.get(source)?.messages.slice(0, start.count) ?? []
  const facts: StreamFacts = { ...EMPTY, incarnation, messages }
  return {
    name: 'fork',
    request: { method: 'PUT', path, headers, body: undefined },
    status: 201,
    repeated: [200],
    after: changed(world, path, facts),
  }
}

/** One POST with at least one message; it may close the stream. */
export function append(
  world: World,
  path: string,
  style: Style,
  messages: readonly Message[],
  closes: boolean,
): Operation {
  const { kind, usesProducer } = style
  const facts = world.get(path) ?? EMPTY
  const producer = {
    'producer-id': 'writer',
    'producer-epoch': '0',
    'producer-seq': String(facts.producerSeq),
  }
  const headers = {
    'content-type': contentType(kind),
    ...(usesProducer && producer),
    ...(kind === 'text' && { 'stream-seq': String(messages[0]?.number).padStart(12, '0') }),
    ...(closes && { 'stream-closed': 'true' }),
  }
  const request: Request = { method: 'POST', path, headers, body: bodyOf(kind, messages) }
  const repeated = usesProducer ? 204 : 409
  const isRepeatable = usesProducer || kind === 'text'
  return {
    name: closes ? 'append and close' : 'append',
    request,
    status: usesProducer ? 200 : 204,
    repeated: isRepeatable ? [repeated] : undefined,
    after: changed(world, path, {
      ...facts,
      messages: [...facts.messages, ...messages],
      isClosed: closes,
      producerSeq: facts.producerSeq + 1,
      last: isRepeatable ? { request, repeated } : undefined,
    }),
  }
}

/** A close without data. */
export function close(world: World, path: string): Operation {
  const facts = world.get(path) ?? EMPTY
  return {
    name: 'close',
    request: { method: 'POST', path, headers: { 'stream-closed': 'true' }, body: undefined },
    status: 204,
    repeated: [204],
    // A closed stream answers a repeated append according to who closed it.
    after: changed(world, path, { ...facts, isClosed: true, last: undefined }),
  }
}

/** A deletion. A source stays hidden behind its fork; a hidden source goes with it. */
export function remove(world: World, path: string, forkPath: string): Operation {
  const after = new Map(world)
  const facts = after.get(path)
  if (facts !== undefined && path !== forkPath && after.has(forkPath)) {
    after.set(path, { ...facts, isHidden: true })
  } else {
    after.delete(path)
    for (const [other, { isHidden }] of world) if (isHidden) after.delete(other)
  }
  return {
    name: 'delete',
    request: { method: 'DELETE', path, headers: {}, body: undefined },
    status: 204,
    repeated: [404, 410],
    after,
  }
}

const EMPTY: StreamFacts = {
  incarnation: 0,
  messages: [],
  isClosed: false,
  isHidden: false,
  producerSeq: 0,
  last: undefined,
}

function changed(world: World, path: string, facts: StreamFacts): World {
  return new Map([...world, [path, facts]])
}

function bodyOf(kind: Kind, messages: readonly Message[]): Buffer | undefined {
  if (messages.length === 0) return undefined
  const texts = messages.map((message) => messageText(kind, message))
  const [only = ''] = texts
  const isArray = kind === 'json' && texts.length > 1
  return Buffer.from(isArray ? `[${texts.join(',')}]` : kind === 'json' ? only : texts.join(''), 'latin1')
}
