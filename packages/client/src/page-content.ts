/** What a page carries, and how it becomes JSON items, bytes or text. Pure. */
import { DurableStreamError } from './errors.ts'

/** Bytes as they came, or the payloads of the data events of an SSE stream that sends text. */
export type PageContent =
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | { readonly kind: 'payloads'; readonly payloads: readonly string[] }

/** A page without data. */
export const NO_CONTENT: PageContent = { kind: 'bytes', bytes: new Uint8Array(0) }

const QUOTED_CHARACTERS = 100
const utf8 = new TextDecoder()
const encoder = new TextEncoder()

/** Whether there is data at all. */
export function hasContent(content: PageContent): boolean {
  return content.kind === 'bytes' ? content.bytes.length > 0 : content.payloads.length > 0
}

/**
 * The items: an array is flattened by one level, any other value is one item, only whitespace is none. Each page is
 * parsed once and as a whole. Throws `PARSE_ERROR` with the beginning of the text.
 */
export function toItems(content: PageContent): readonly unknown[] {
  if (content.kind === 'bytes') {
    return content.bytes.length === 0 ? [] : flattened(utf8.decode(content.bytes))
  }
  const payloads = content.payloads.filter((payload) => payload.trim() !== '')
  const [first] = payloads
  if (first === undefined) return []
  if (payloads.length === 1) return flattened(first)
  const values = parseJson(`[${payloads.join(',')}]`)
  return Array.isArray(values) ? values.flat(1) : []
}

/** The data as bytes; text is encoded as UTF-8. */
export function toBytes(content: PageContent): Uint8Array {
  return content.kind === 'bytes' ? content.bytes : encoder.encode(content.payloads.join(''))
}

/** Decodes the pages of one session: a character that a page boundary cuts comes with the page that completes it. */
export class PageDecoder {
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true })

  /** The text of the next page. After the last one, an incomplete character becomes U+FFFD. */
  decode(content: PageContent, isLast: boolean): string {
    if (content.kind === 'bytes') return this.#decoder.decode(content.bytes, { stream: !isLast })
    return this.#decoder.decode() + content.payloads.join('')
  }
}

/** Joins pieces; a single one is not copied. */
export function joinBytes(pieces: readonly Uint8Array[]): Uint8Array {
  const [first] = pieces
  if (pieces.length === 1 && first !== undefined) return first
  const joined = new Uint8Array(pieces.reduce((length, piece) => length + piece.length, 0))
  let at = 0
  for (const piece of pieces) {
    joined.set(piece, at)
    at += piece.length
  }
  return joined
}

/** An error about text that a server sent, with the beginning of it. */
export function parseError(what: string, text: string): DurableStreamError {
  const preview = text.length > QUOTED_CHARACTERS ? `${text.slice(0, QUOTED_CHARACTERS)}…` : text
  return new DurableStreamError(`${what}: ${preview}`, 'PARSE_ERROR')
}

function flattened(text: string): readonly unknown[] {
  const value = parseJson(text)
  if (value === undefined) return []
  return Array.isArray(value) ? value : [value]
}

/** Undefined for only whitespace, which no JSON text gives. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    if (text.trim() === '') return undefined
    throw parseError('The data is not JSON', text)
  }
}
