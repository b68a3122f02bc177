/** Content types: what is compared (type/subtype, lower case, no parameters) and what it means for reads. */
import { PROTOCOL_LIMITS } from './limits.ts'

/** How a stream's bytes are framed: JSON messages, text that must not be cut inside a character, or bytes. */
export type StreamFormat = 'json' | 'text' | 'binary'

/** The type of a stream created without a `Content-Type`. */
export const DEFAULT_CONTENT_TYPE = 'application/octet-stream'

const TYPE = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+\/[!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*(?:;|$)/
/** One parameter with its semicolon, or an empty one; matched one after the other, so that no input is tried twice. */
const PARAMETER =
  /[ \t]*(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+=(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+|"(?:[\t !#-[\]-~\x80-\xff]|\\[\t -~])*")[ \t]*)?(?:;|$)/y
const PLAIN = /^[a-z0-9.+-]+\/[a-z0-9.+-]+$/

/**
 * The comparable media type of a `Content-Type` value, or `undefined` when the value is not one (RFC 9110, 8.3.1).
 * Parameters are dropped and case is folded (R-060, R-061).
 */
export function parseMediaType(contentType: string): string | undefined {
  if (contentType.length > PROTOCOL_LIMITS.maxContentTypeBytes) return undefined
  if (PLAIN.test(contentType)) return contentType
  const type = TYPE.exec(contentType)
  if (type === null) return undefined
  PARAMETER.lastIndex = type[0].length
  while (PARAMETER.lastIndex < contentType.length) {
    if (!PARAMETER.test(contentType)) return undefined
  }
  return type[1]?.toLowerCase()
}

/** JSON mode is active for exactly `application/json` (section 11); `text/*` is text, the rest is bytes. */
export function streamFormat(mediaType: string): StreamFormat {
  if (mediaType === 'application/json') return 'json'
  return mediaType.startsWith('text/') ? 'text' : 'binary'
}
