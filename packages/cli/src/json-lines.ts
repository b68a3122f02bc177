/** Messages of a JSON stream as lines, without parsing them: every digit, escape and key stays as it was written. */
import { encodeJsonMessages } from '@millrace/protocol'
import { CommandFailure, STREAM_EXIT } from './stream-failure.ts'

/** Deeper than any server allows. */
const MOST_LEVELS = 100_000

/** Whether a stream of this content type holds JSON messages. */
export function isJsonType(contentType: string | undefined): boolean {
  return /^\s*application\/json\s*(;|$)/i.test(contentType ?? '')
}

/** Why bytes are not JSON text; undefined when they are. */
export function whyNotJson(text: Uint8Array): string | undefined {
  const result = encodeJsonMessages(text, MOST_LEVELS)
  return result.kind === 'invalid' ? `${result.reason}, at byte ${result.at + 1}` : undefined
}

/** The messages of one page, each on a line: LF stands only at the end of each. */
export function toJsonLines(page: Uint8Array): string {
  return storedTexts(page).replaceAll(',\n', '\n')
}

/** The messages of one page as the text of a JSON array. */
export function toJsonArray(page: Uint8Array): string {
  return `[${storedTexts(page).replaceAll('\n', '').replace(/,$/, '')}]`
}

/** Each message, then a comma and LF. An SSE page may hold several arrays, one after the other. */
function storedTexts(page: Uint8Array): string {
  let texts = ''
  for (let rest = page; rest.length > 0; ) {
    const whole = encodeJsonMessages(rest, MOST_LEVELS)
    if (whole.kind === 'empty-array') return texts
    if (whole.kind === 'messages') return texts + utf8(whole.bytes)
    const first = encodeJsonMessages(rest.subarray(0, whole.at), MOST_LEVELS)
    if (first.kind === 'invalid') {
      throw new CommandFailure(
        `What the server sent is not JSON: ${whole.reason}. Is there a proxy in between that changes it?`,
        STREAM_EXIT.other,
      )
    }
    if (first.kind === 'messages') texts += utf8(first.bytes)
    rest = rest.subarray(whole.at)
  }
  return texts
}

function utf8(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
}
