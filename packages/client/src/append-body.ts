/** From messages to request bodies. A JSON body is always an array, so that a message which is one stays one message. */
import { DurableStreamError } from './errors.ts'

/** A message as it goes over the wire: JSON text or text, or bytes. */
export type WireMessage = string | Uint8Array<ArrayBuffer>

const utf8 = new TextEncoder()
const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Whether a stream of this content type holds JSON messages: parameters and letter case don't matter. */
export function isJsonType(contentType: string | undefined): boolean {
  return contentType?.split(';', 1)[0]?.trim().toLowerCase() === 'application/json'
}

/**
 * The wire form of one message. A JSON stream takes any JSON value; a string or bytes are JSON text already and go in
 * as they are. Other streams take strings and bytes. Throws `BAD_REQUEST` for anything else. Bytes are copied.
 */
export function toWireMessage(body: unknown, isJson: boolean): WireMessage {
  if (typeof body === 'string') {
    if (body === '' && isJson) throw badRequest('An empty string is not JSON: append JSON text or a value')
    return body
  }
  const bytes = bytesOf(body)
  if (isJson) return bytes === undefined ? stringify(body) : decode(bytes)
  if (bytes !== undefined) return bytes.slice()
  throw badRequest(
    `Only strings and bytes can be appended here, not ${nameOf(body)}: values need a stream with content type ` +
      'application/json, and a handle that knows it (pass contentType, or use DurableStream.connect)',
  )
}

/** One request body for several messages, in order. */
export function joinMessages(messages: readonly WireMessage[], isJson: boolean): WireMessage {
  if (messages.every((message) => typeof message === 'string')) {
    return isJson ? `[${messages.join(',')}]` : messages.join('')
  }
  return concatBytes(
    messages.map((message) => (typeof message === 'string' ? utf8.encode(message) : message)),
  )
}

/** Bytes of a message on the wire. */
export function wireSize(message: WireMessage): number {
  return typeof message === 'string' ? utf8Size(message) : message.length
}

/** The bytes of a view or a buffer, not copied; `undefined` for anything else. */
export function bytesOf(body: unknown): Uint8Array<ArrayBufferLike> | undefined {
  if (body instanceof Uint8Array) return body
  if (ArrayBuffer.isView(body)) return new Uint8Array(body.buffer, body.byteOffset, body.byteLength)
  return body instanceof ArrayBuffer ? new Uint8Array(body) : undefined
}

/** A loop beats encoding for the short strings that messages mostly are, and needs no memory. */
function utf8Size(text: string): number {
  let size = text.length
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit < 0x80) continue
    // Each half of a surrogate pair adds one, which makes four bytes of two units.
    size += unit < 0x800 || (unit >= 0xd800 && unit < 0xe000) ? 1 : 2
  }
  return size
}

function stringify(body: unknown): string {
  let text: string | undefined
  try {
    text = JSON.stringify(body)
  } catch (error) {
    throw badRequest(`The value can't be written as JSON: ${error instanceof Error ? error.message : error}`)
  }
  if (text === undefined) throw badRequest(`JSON has no ${nameOf(body)}: append null, or leave the field out`)
  return text
}

function decode(bytes: Uint8Array): string {
  try {
    return strictUtf8.decode(bytes)
  } catch {
    throw badRequest('The bytes are not UTF-8, so they are not JSON text')
  }
}

function concatBytes(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

function nameOf(value: unknown): string {
  return value === null ? 'null' : typeof value
}

function badRequest(message: string): DurableStreamError {
  return new DurableStreamError(message, 'BAD_REQUEST')
}
