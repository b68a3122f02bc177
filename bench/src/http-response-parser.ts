/**
 * Strict incremental parser for HTTP/1.1 responses, one response at a time.
 * Made for a load generator: it looks only at the framing headers and leaves the others unparsed until
 * somebody asks. Knows no socket. What it does not understand is an error, never a guess.
 */

const HEAD_END: Buffer = Buffer.from('\r\n\r\n')
const LINE_END: Buffer = Buffer.from('\r\n')
const HEAD_GRAMMAR =
  /^HTTP\/1\.1 [2-5]\d\d [\t -~\x80-\xff]*\r\n(?:[!#$%&'*+.^_`|~\dA-Za-z-]+:[\t -~\x80-\xff]*\r\n)*$/
const MAX_HEAD_BYTES = 65_536
const MAX_CHUNK_LINE_BYTES = 64

type Phase = 'idle' | 'head' | 'fixed' | 'chunk-size' | 'chunk-data' | 'chunk-end' | 'trailer'

export class ResponseSyntaxError extends Error {
  readonly code = 'RESPONSE_SYNTAX'
}

/** Status and headers of one response. */
export class ResponseHead {
  readonly status: number
  readonly #text: string

  constructor(text: string) {
    this.#text = text
    this.status = Number(text.slice(9, 12))
  }

  /** The first value of a header; `name` in lower case. */
  header(name: string): string | undefined {
    const text = this.#text
    const start = text.toLowerCase().indexOf(`\r\n${name}:`)
    if (start < 0) return undefined
    const from = start + name.length + 3
    return text.slice(from, text.indexOf('\r\n', from)).trim()
  }
}

/** Called in the order head, body*, end. */
export interface ResponseSink {
  onHead(head: ResponseHead): void
  /** `bytes` is only valid during the call. */
  onBody(bytes: Buffer): void
  /** `closes`: the server asked for the connection to be closed. A new response may be begun from here. */
  onEnd(closes: boolean): void
}

interface Framing {
  readonly length: number
  readonly chunked: boolean
  readonly closes: boolean
}

function readFraming(text: string): Framing {
  let length = -1
  let chunked = false
  let closes = false
  let line = text.indexOf('\r\n') + 2
  while (line < text.length) {
    const end = text.indexOf('\r\n', line)
    const colon = text.indexOf(':', line)
    const size = colon - line
    if (size === 14 || size === 17 || size === 10) {
      const name = text.slice(line, colon).toLowerCase()
      const value = text.slice(colon + 1, end).trim()
      if (name === 'content-length') {
        if (length >= 0 || !/^\d{1,15}$/.test(value))
          throw new ResponseSyntaxError(`Content-Length: ${value}`)
        length = Number(value)
      } else if (name === 'transfer-encoding') {
        if (chunked || value.toLowerCase() !== 'chunked') {
          throw new ResponseSyntaxError(`Transfer-Encoding: ${value}`)
        }
        chunked = true
      } else if (name === 'connection' && value.toLowerCase() === 'close') {
        closes = true
      }
    }
    line = end + 2
  }
  if (chunked && length >= 0) throw new ResponseSyntaxError('both Content-Length and Transfer-Encoding')
  return { length, chunked, closes }
}

/** Feed it what the socket delivers. A `ResponseSyntaxError` thrown by `feed` is final for the connection. */
export class ResponseParser {
  #phase: Phase = 'idle'
  #sink: ResponseSink | undefined
  #bodiless = false
  #closes = false
  #remaining = 0
  #carry: Buffer | undefined

  get idle(): boolean {
    return this.#phase === 'idle'
  }

  /** Announces that the next bytes are a response; `toHead` when it answers a HEAD request. */
  begin(sink: ResponseSink, toHead: boolean): void {
    if (this.#phase !== 'idle') throw new Error('the previous response has not ended')
    this.#phase = 'head'
    this.#sink = sink
    this.#bodiless = toHead
  }

  feed(bytes: Buffer): void {
    const data = this.#carry === undefined ? bytes : Buffer.concat([this.#carry, bytes])
    this.#carry = undefined
    let position = 0
    while (position < data.length) {
      const next = this.#step(data, position)
      if (next < 0) {
        this.#keep(data.subarray(position))
        return
      }
      position = next
    }
  }

  #keep(rest: Buffer): void {
    const limit = this.#phase === 'head' ? MAX_HEAD_BYTES : MAX_CHUNK_LINE_BYTES
    if (rest.length > limit) throw new ResponseSyntaxError(`${this.#phase} is longer than ${limit} bytes`)
    this.#carry = Buffer.from(rest)
  }

  /** Consumes one piece and returns the position behind it, or -1 when more bytes are needed. */
  #step(data: Buffer, position: number): number {
    switch (this.#phase) {
      case 'idle':
        throw new ResponseSyntaxError('bytes that no request asked for')
      case 'head':
        return this.#head(data, position)
      case 'fixed':
      case 'chunk-data':
        return this.#body(data, position)
      case 'chunk-size':
        return this.#chunkSize(data, position)
      case 'chunk-end':
      case 'trailer':
        return this.#lineEnd(data, position)
    }
  }

  #head(data: Buffer, position: number): number {
    const end = data.indexOf(HEAD_END, position)
    if (end < 0) return -1
    const text = data.toString('latin1', position, end + 2)
    if (!HEAD_GRAMMAR.test(text)) throw new ResponseSyntaxError(`malformed head: ${JSON.stringify(text)}`)
    const framing = readFraming(text)
    const head = new ResponseHead(text)
    const behind = end + 4
    this.#closes = framing.closes
    this.#sink?.onHead(head)
    if (this.#bodiless || head.status === 204 || head.status === 304 || framing.length === 0) {
      this.#finish(data, behind)
    } else if (framing.chunked) {
      this.#phase = 'chunk-size'
    } else if (framing.length > 0) {
      this.#phase = 'fixed'
      this.#remaining = framing.length
    } else {
      throw new ResponseSyntaxError('neither Content-Length nor chunked')
    }
    return behind
  }

  #body(data: Buffer, position: number): number {
    const end = Math.min(data.length, position + this.#remaining)
    this.#remaining -= end - position
    this.#sink?.onBody(position === 0 && end === data.length ? data : data.subarray(position, end))
    if (this.#remaining === 0) {
      if (this.#phase === 'fixed') this.#finish(data, end)
      else this.#phase = 'chunk-end'
    }
    return end
  }

  #chunkSize(data: Buffer, position: number): number {
    const end = data.indexOf(LINE_END, position)
    if (end < 0) return -1
    const text = data.toString('latin1', position, end)
    if (!/^[\da-fA-F]{1,12}$/.test(text)) throw new ResponseSyntaxError(`chunk size ${JSON.stringify(text)}`)
    this.#remaining = Number.parseInt(text, 16)
    this.#phase = this.#remaining === 0 ? 'trailer' : 'chunk-data'
    return end + 2
  }

  /** The line end behind a chunk's data, or behind the last chunk (trailers are refused). */
  #lineEnd(data: Buffer, position: number): number {
    if (data.length - position < 2) return -1
    if (data[position] !== 13 || data[position + 1] !== 10) {
      throw new ResponseSyntaxError('no line end behind a chunk')
    }
    if (this.#phase === 'trailer') this.#finish(data, position + 2)
    else this.#phase = 'chunk-size'
    return position + 2
  }

  #finish(data: Buffer, behind: number): void {
    if (behind < data.length) throw new ResponseSyntaxError('bytes behind the response')
    const sink = this.#sink
    this.#phase = 'idle'
    this.#sink = undefined
    sink?.onEnd(this.#closes)
  }
}
