/** The bodies that the load appends: fixed size, each naming its writer and sequence number. */
import type { AppendName } from './append-ledger.ts'

/** How one kind of body is written, and found again in what a read returns. */
export interface AppendFormat {
  readonly label: string
  readonly contentType: string
  readonly sizeBytes: number
  encode(writer: number, seq: number): string
  /** The name in one body, or undefined unless the body is exactly what `encode` makes of that name. */
  parse(body: string): AppendName | undefined
  /** Reads the bodies of one stream's responses, each response given whole, in order. */
  decode(responses: readonly Buffer[]): (AppendName | undefined)[]
}

/** Long enough for every size in use; bodies are cut from it. */
const FILLER = 'abcdefghijklmnopqrstuvwxyz0123456789'.repeat(256)
const NAME_GRAMMAR = /^w(\d{6})-(\d{10})-/

function nameText(writer: number, seq: number): string {
  return `w${String(writer).padStart(6, '0')}-${String(seq).padStart(10, '0')}-`
}

function parseName(text: string, body: string, encode: AppendFormat['encode']): AppendName | undefined {
  const match = NAME_GRAMMAR.exec(text)
  if (match === null) return undefined
  const name = { writer: Number(match[1]), seq: Number(match[2]) }
  return encode(name.writer, name.seq) === body ? name : undefined
}

/** Bodies of `sizeBytes` plain bytes in a stream of the given type. */
export function plainFormat(contentType: string, sizeBytes: number): AppendFormat {
  const filler = FILLER.slice(0, sizeBytes - nameText(0, 0).length)
  const encode = (writer: number, seq: number): string => nameText(writer, seq) + filler
  const parse = (body: string): AppendName | undefined => parseName(body, body, encode)
  const decode = (responses: readonly Buffer[]): (AppendName | undefined)[] => {
    const text = Buffer.concat(responses).toString('latin1')
    const found: (AppendName | undefined)[] = []
    for (let start = 0; start < text.length; start += sizeBytes) {
      found.push(parse(text.slice(start, start + sizeBytes)))
    }
    return found
  }
  return { label: `${sizeBytes} B ${contentType}`, contentType, sizeBytes, encode, parse, decode }
}

/** JSON objects of `sizeBytes` bytes; the object has to come back with the same members. */
export function jsonFormat(sizeBytes: number): AppendFormat {
  const envelope = JSON.stringify({ name: nameText(0, 0), active: true, filler: '' }).length
  const filler = FILLER.slice(0, sizeBytes - envelope)
  const encode = (writer: number, seq: number): string =>
    `{"name":"${nameText(writer, seq)}","active":true,"filler":"${filler}"}`
  const parseMessage = (message: unknown): AppendName | undefined => {
    if (typeof message !== 'object' || message === null || !('name' in message)) return undefined
    return typeof message.name === 'string'
      ? parseName(message.name, JSON.stringify(message), encode)
      : undefined
  }
  const parse = (body: string): AppendName | undefined => parseMessage(JSON.parse(body))
  const decode = (responses: readonly Buffer[]): (AppendName | undefined)[] => {
    return responses.flatMap((response) => {
      const messages: unknown = JSON.parse(response.toString('utf8'))
      return Array.isArray(messages) ? messages.map(parseMessage) : [undefined]
    })
  }
  const label = `${sizeBytes} B JSON`
  return { label, contentType: 'application/json', sizeBytes, encode, parse, decode }
}
