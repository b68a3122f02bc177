/**
 * What streams are, as plainly as it can be said: sequential code on strings, written without a look at the rules
 * of the protocol package. Commands answer with the kind of outcome they must have.
 */

/** Contents of one append: messages in stored form. A text stream has one message an append. */
type Unit = readonly string[]

interface Producer {
  epoch: number
  seq: number
}

/** How a stream may be asked for. */
export interface ModelCreation {
  readonly type: string | undefined
  readonly ttlSeconds: number | undefined
  readonly closed: boolean
  readonly body: string
  readonly fork: { readonly from: string; readonly at: number | undefined; readonly sub: number } | undefined
}

/** An append, a close, or both. */
export interface ModelWriting {
  readonly type: string
  readonly content: string | undefined
  readonly closes: boolean
  readonly producer: readonly [id: string, epoch: number, seq: number] | undefined
  readonly seq: string | undefined
}

/** One stream that exists, or is kept for its forks. */
class ModelStream {
  units: Unit[] = []
  closed = false
  closedBy = ''
  seq: string | undefined
  readonly producers = new Map<string, Producer>()
  forks = 0
  isKeptForForks = false
  usedAtMs = 0
  readonly type: string
  readonly ttlSeconds: number | undefined
  readonly source: ModelStream | undefined
  /** What makes another request for it the same one. */
  readonly asked: { readonly creation: ModelCreation; readonly forkedAt: number }

  constructor(
    creation: ModelCreation,
    type: string,
    ttlSeconds: number | undefined,
    source?: ModelStream,
    forkedAt = 0,
  ) {
    this.asked = { creation, forkedAt }
    this.type = type
    this.ttlSeconds = ttlSeconds
    this.source = source
  }

  get text(): string {
    return this.units.flat().join('')
  }

  isOver(nowMs: number): boolean {
    return this.ttlSeconds !== undefined && this.usedAtMs + this.ttlSeconds * 1000 <= nowMs
  }
}

/** All streams of a server. */
export class StreamModel {
  nowMs = 0
  readonly #streams = new Map<string, ModelStream>()

  /** Time passes; what is over by then is gone. */
  pass(ms: number): void {
    this.nowMs += ms
    for (const [name, stream] of this.#streams) {
      if (!stream.isKeptForForks && stream.isOver(this.nowMs)) this.#end(name, stream)
    }
  }

  create(name: string, creation: ModelCreation): string {
    const existing = this.#streams.get(name)
    if (existing?.isKeptForForks) return 'rejected: path-blocked'
    if (existing) return this.#isSame(existing, creation) ? 'exists' : 'rejected: already-exists'
    const made = creation.fork ? this.#fork(creation, creation.fork) : this.#plain(creation)
    if (typeof made === 'string') return made
    const body = creation.body === '' ? [] : messagesOf(creation.body, made.type)
    if (body === undefined) return 'rejected: invalid-json'
    if (body.length > 0) made.units.push(body)
    made.closed = creation.closed
    made.usedAtMs = this.nowMs
    if (made.source) made.source.forks++
    this.#streams.set(name, made)
    return 'created'
  }

  append(name: string, writing: ModelWriting): string {
    const stream = this.#streams.get(name)
    if (stream === undefined) return 'rejected: not-found'
    if (stream.isKeptForForks) return 'rejected: gone'
    const { content, closes, producer, seq } = writing
    const stamp = producer?.join(' ') ?? ''
    if (stream.closed) {
      if (stamp !== '' && stamp === stream.closedBy) return this.#used(stream, 'duplicate')
      const isRepeated = closes && content === undefined && producer === undefined
      return isRepeated ? this.#used(stream, 'closed') : 'rejected: stream-closed'
    }
    if (content !== undefined && writing.type !== stream.type) return 'rejected: content-type-mismatch'
    const unit = content === undefined ? undefined : messagesOf(content, stream.type)
    if (content !== undefined && unit === undefined) return 'rejected: invalid-json'
    if (unit?.length === 0) return 'rejected: empty-array'
    const known = producer && judge(stream.producers.get(producer[0]), producer[1], producer[2])
    if (known === 'duplicate') return this.#used(stream, known)
    if (known !== undefined) return known
    if (seq !== undefined && stream.seq !== undefined && seq <= stream.seq)
      return 'rejected: stream-seq-conflict'
    if (unit) stream.units.push(unit)
    if (producer) stream.producers.set(producer[0], { epoch: producer[1], seq: producer[2] })
    stream.seq = seq ?? stream.seq
    if (closes) {
      stream.closed = true
      stream.closedBy = stamp
    }
    return this.#used(stream, unit === undefined ? 'closed' : 'appended')
  }

  remove(name: string): string {
    const stream = this.#streams.get(name)
    if (stream === undefined) return 'rejected: not-found'
    if (stream.isKeptForForks) return 'rejected: gone'
    this.#end(name, stream)
    return 'deleted'
  }

  /** The stored text as a reader gets it, with how it ends. */
  read(name: string): string {
    const stream = this.#streams.get(name)
    if (stream === undefined) return '<not-found>'
    if (stream.isKeptForForks) return '<gone>'
    stream.usedAtMs = this.nowMs
    return stream.text
  }

  /** Without using it: tail and closure. */
  head(name: string): string {
    const stream = this.#streams.get(name)
    if (stream === undefined) return 'not-found'
    return stream.isKeptForForks ? 'gone' : `${stream.text.length} ${stream.closed ? 'closed' : 'open'}`
  }

  /** The type of a stream and the places between its messages, for tests that want to hit them. */
  peek(name: string): { readonly type: string; readonly places: readonly number[] } | undefined {
    const stream = this.#streams.get(name)
    if (stream === undefined) return undefined
    const places = [0]
    for (const message of stream.units.flat()) places.push((places.at(-1) ?? 0) + message.length)
    return { type: stream.type, places }
  }

  #used(stream: ModelStream, kind: string): string {
    stream.usedAtMs = this.nowMs
    return kind
  }

  #plain(creation: ModelCreation): ModelStream {
    return new ModelStream(creation, creation.type ?? 'application/octet-stream', creation.ttlSeconds)
  }

  #fork(
    creation: ModelCreation,
    { from, at, sub }: NonNullable<ModelCreation['fork']>,
  ): ModelStream | string {
    const source = this.#streams.get(from)
    if (source === undefined) return 'rejected: fork-source-not-found'
    if (source.isKeptForForks) return 'rejected: fork-from-tombstone'
    if (creation.type !== undefined && creation.type !== source.type) return 'rejected: content-type-mismatch'
    const forkedAt = at ?? source.text.length
    const inherited = prefix(source, forkedAt, sub)
    if (inherited === undefined) return 'rejected: bad-request'
    const ttlSeconds = creation.ttlSeconds ?? source.ttlSeconds
    const fork = new ModelStream(creation, source.type, ttlSeconds, source, forkedAt)
    fork.units = inherited
    return fork
  }

  #isSame(stream: ModelStream, wanted: ModelCreation): boolean {
    const { creation, forkedAt } = stream.asked
    const isFork = wanted.fork !== undefined && creation.fork !== undefined
    const type = wanted.type ?? (isFork ? stream.type : 'application/octet-stream')
    const isSameFork =
      wanted.fork === undefined || creation.fork === undefined
        ? wanted.fork === creation.fork
        : wanted.fork.from === creation.fork.from &&
          wanted.fork.sub === creation.fork.sub &&
          (wanted.fork.at === undefined || wanted.fork.at === forkedAt)
    const inheritsAlike = isFork && wanted.ttlSeconds === undefined && creation.ttlSeconds === undefined
    const isSameTtl = inheritsAlike || wanted.ttlSeconds === stream.ttlSeconds
    return type === stream.type && isSameTtl && wanted.closed === stream.closed && isSameFork
  }

  #end(name: string, stream: ModelStream): void {
    if (stream.forks > 0) {
      stream.isKeptForForks = true
      return
    }
    this.#streams.delete(name)
    const { source } = stream
    if (source === undefined) return
    source.forks--
    if (!source.isKeptForForks || source.forks > 0) return
    for (const [sourceName, one] of this.#streams) {
      if (one === source) this.#end(sourceName, source)
    }
  }
}

/** The messages of a body in stored form; `undefined` if it is none. */
function messagesOf(content: string, type: string): Unit | undefined {
  if (type !== 'application/json') return [content]
  try {
    const value: unknown = JSON.parse(content)
    const messages: readonly unknown[] = Array.isArray(value) ? value : [value]
    return messages.map((message) => `${JSON.stringify(message)},\n`)
  } catch {
    // The only thing that can go wrong is the content itself.
    return undefined
  }
}

function judge(known: Producer | undefined, epoch: number, seq: number): string | undefined {
  if (known === undefined) return seq === 0 ? undefined : 'rejected: producer-gap'
  if (epoch < known.epoch) return 'rejected: producer-fenced'
  if (epoch > known.epoch) return seq === 0 ? undefined : 'rejected: bad-request'
  if (seq <= known.seq) return 'duplicate'
  return seq === known.seq + 1 ? undefined : 'rejected: producer-gap'
}

/** Everything up to a position and `sub` bytes or messages further, in the units it came in. */
function prefix(source: ModelStream, at: number, sub: number): Unit[] | undefined {
  const isJson = source.type === 'application/json'
  const taken: Unit[] = []
  let position = 0
  for (const unit of source.units) {
    const pieces = isJson ? unit : [...unit.join('')]
    let count = 0
    for (const piece of pieces) {
      if (position >= at) break
      position += piece.length
      count++
    }
    if (position > at) return undefined
    const isHere = position === at && count < pieces.length
    if (isHere && sub > pieces.length - count) return undefined
    const upTo = isHere ? count + sub : count
    if (upTo > 0) taken.push(pieces.slice(0, upTo))
    if (isHere) return taken
  }
  return position === at && sub === 0 ? taken : undefined
}
