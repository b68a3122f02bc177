/**
 * Server-sent events (section 10.4): the byte grammar that published clients and the conformance suite expect.
 * One data event with the bytes of a slice, directly followed by one control event, made once per slice.
 */
import { offsetAt } from './generation.ts'
import { withoutEnd } from './read-body.ts'
import { isAtEnd, isUpToDate, type Slice } from './slice.ts'

const LF = 0x0a
const CR = 0x0d
const SP = 0x20
const encoder = new TextEncoder()
const DATA_EVENT = encoder.encode('event: data\ndata:')
const DATA_LINE = encoder.encode('\ndata:')
const EVENT_END = encoder.encode('\n\n')

/** A comment that keeps a quiet connection alive. */
export const SSE_HEARTBEAT: Uint8Array = encoder.encode(':\n\n')

/** The data event of a slice with bytes; independent of reader and time, so it is made once for all readers. */
export function encodeDataEvent(slice: Slice): Uint8Array {
  switch (slice.state.format) {
    case 'json':
      return jsonEvent(joined(withoutEnd(slice.pieces, 2)))
    case 'text':
      return textEvent(joined(slice.pieces))
    case 'binary':
      return base64Event(joined(slice.pieces))
  }
}

/**
 * The control event after a slice. `streamCursor` is left out with `streamClosed`, `upToDate` always goes with it
 * (R-184, R-204, R-207).
 */
export function encodeControlEvent(slice: Slice, cursor: bigint): Uint8Array {
  const fields = isAtEnd(slice)
    ? ',"upToDate":true,"streamClosed":true'
    : `,"streamCursor":"${cursor}"${isUpToDate(slice) ? ',"upToDate":true' : ''}`
  const next = offsetAt(slice.state, slice.to)
  return encoder.encode(`event: control\ndata:{"streamNextOffset":"${next}"${fields}}\n\n`)
}

/** One byte sequence from many; no copy when there is only one. */
export function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const [first] = pieces
  if (first !== undefined && pieces.length === 1) return first
  const bytes = new Uint8Array(pieces.reduce((size, piece) => size + piece.length, 0))
  let at = 0
  for (const piece of pieces) {
    bytes.set(piece, at)
    at += piece.length
  }
  return bytes
}

/** Each message on a `data:` line of its own; the lines joined by LF are one JSON array. */
function jsonEvent(messages: Uint8Array): Uint8Array {
  const event = new EventBuffer(messages.length + 64)
  event.add(DATA_EVENT)
  event.addByte(0x5b)
  for (let from = 0; from <= messages.length; ) {
    const at = messages.indexOf(LF, from)
    const to = at < 0 ? messages.length : at
    if (from > 0) event.add(DATA_LINE)
    event.add(messages.subarray(from, to))
    from = to + 1
  }
  event.addByte(0x5d)
  event.add(EVENT_END)
  return event.finish()
}

/** Each line on a `data:` line; CRLF, LF and CR all end a line, and a leading space is doubled. */
function textEvent(text: Uint8Array): Uint8Array {
  const event = new EventBuffer(text.length + 64)
  event.add(DATA_EVENT)
  let from = 0
  for (let at = 0; at <= text.length; at++) {
    const byte = text[at]
    if (at < text.length && byte !== LF && byte !== CR) continue
    if (from > 0) event.add(DATA_LINE)
    if (text[from] === SP && from < at) event.addByte(SP)
    event.add(text.subarray(from, at))
    if (byte === CR && text[at + 1] === LF) at++
    from = at + 1
  }
  event.add(EVENT_END)
  return event.finish()
}

function base64Event(bytes: Uint8Array): Uint8Array {
  const event = new EventBuffer(Math.ceil(bytes.length / 3) * 4 + 64)
  event.add(DATA_EVENT)
  event.addBase64(bytes)
  event.add(EVENT_END)
  return event.finish()
}

const ALPHABET = encoder.encode('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/')
const PADDING = 0x3d

/** Collects the bytes of one event. */
class EventBuffer {
  #bytes: Uint8Array
  #size = 0

  constructor(expectedBytes: number) {
    this.#bytes = new Uint8Array(expectedBytes)
  }

  add(bytes: Uint8Array): void {
    this.#reserve(bytes.length)
    this.#bytes.set(bytes, this.#size)
    this.#size += bytes.length
  }

  addByte(byte: number): void {
    this.#reserve(1)
    this.#bytes[this.#size++] = byte
  }

  /** Standard RFC 4648 base64 with padding. */
  addBase64(bytes: Uint8Array): void {
    this.#reserve(Math.ceil(bytes.length / 3) * 4)
    const out = this.#bytes
    let at = this.#size
    for (let i = 0; i < bytes.length; i += 3) {
      const left = bytes.length - i
      const word = ((bytes[i] ?? 0) << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0)
      out[at++] = ALPHABET[word >> 18] ?? 0
      out[at++] = ALPHABET[(word >> 12) & 63] ?? 0
      out[at++] = left > 1 ? (ALPHABET[(word >> 6) & 63] ?? 0) : PADDING
      out[at++] = left > 2 ? (ALPHABET[word & 63] ?? 0) : PADDING
    }
    this.#size = at
  }

  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#size)
  }

  #reserve(more: number): void {
    const needed = this.#size + more
    if (needed <= this.#bytes.length) return
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2))
    grown.set(this.#bytes.subarray(0, this.#size))
    this.#bytes = grown
  }
}
