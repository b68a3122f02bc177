/**
 * Stream paths: the identity of a stream is its path below the stream root after RFC 3986 normalisation.
 * Percent-escapes are decoded exactly once, here; nothing after this file decodes again.
 */
import { PROTOCOL_LIMITS } from './limits.ts'

declare const pathBrand: unique symbol

/** Canonical path of a stream, without a leading slash; safe to compare, log and put into a URL. */
export type StreamPath = string & { readonly [pathBrand]: true }

/** The first path segment that is reserved for control routes. */
export const CONTROL_SEGMENT = '__ds'

/** Where a path below the stream root leads. */
export type ParsedPath =
  | { readonly kind: 'stream'; readonly path: StreamPath }
  | { readonly kind: 'control'; readonly path: string }
  | { readonly kind: 'invalid'; readonly detail: string }

const CANONICAL = /^[A-Za-z0-9_~][A-Za-z0-9._~-]*(?:\/[A-Za-z0-9_~][A-Za-z0-9._~-]*)*$/

/** Normalises the raw, still escaped path below the stream root. */
export function parseStreamPath(raw: string): ParsedPath {
  // Whatever follows it: a path that begins like this never reaches the streams.
  if (isControl(raw)) return { kind: 'control', path: controlPath(raw) }
  // The common case, recognised in one pass: nothing to normalise and nothing to refuse.
  const canonical = CANONICAL.test(raw) ? raw : normalise(raw)
  if (typeof canonical !== 'string') return { kind: 'invalid', detail: canonical.detail }
  if (canonical.length > PROTOCOL_LIMITS.maxPathBytes) {
    return {
      kind: 'invalid',
      detail: `The stream path is longer than ${PROTOCOL_LIMITS.maxPathBytes} bytes.`,
    }
  }
  // The only place that makes stream paths: the brand is earned by the checks above.
  return { kind: 'stream', path: canonical as StreamPath }
}

function isControl(raw: string): boolean {
  if (!raw.startsWith('_') && !raw.startsWith('%')) return false
  const slash = raw.indexOf('/')
  return normaliseSegment(slash < 0 ? raw : raw.slice(0, slash)) === CONTROL_SEGMENT
}

/** The part after the reserved segment, normalised where that is possible. */
function controlPath(raw: string): string {
  const whole = normalise(raw)
  if (typeof whole === 'string') return whole.slice(CONTROL_SEGMENT.length + 1)
  return raw.slice(raw.indexOf('/') + 1)
}

interface BadPath {
  readonly detail: string
}

function normalise(raw: string): string | BadPath {
  if (raw === '') return { detail: 'The URL names no stream: add a path after the stream root.' }
  const segments: string[] = []
  for (const segment of raw.split('/')) {
    const canonical = normaliseSegment(segment)
    if (typeof canonical !== 'string') return canonical
    if (canonical === '') return { detail: 'The stream path has an empty segment: remove the extra slash.' }
    if (canonical === '.' || canonical === '..') {
      return { detail: 'The stream path has a "." or ".." segment, which never names a stream.' }
    }
    segments.push(canonical)
  }
  return segments.join('/')
}

const UNRESERVED = /[A-Za-z0-9\-._~]/
const SEGMENT_CHARACTER = /[A-Za-z0-9\-._~!$&'()*+,;=:@]/

function normaliseSegment(segment: string): string | BadPath {
  let canonical = ''
  for (let i = 0; i < segment.length; i++) {
    const character = segment.charAt(i)
    let code = segment.charCodeAt(i)
    if (character === '%') {
      const hex = segment.slice(i + 1, i + 3)
      if (!/^[0-9A-Fa-f]{2}$/.test(hex))
        return { detail: 'The stream path has an incomplete percent-escape.' }
      code = Number.parseInt(hex, 16)
      i += 2
    } else if (SEGMENT_CHARACTER.test(character)) {
      canonical += character
      continue
    }
    if (code < 0x20 || code === 0x7f) return { detail: 'The stream path has a control character.' }
    if (code > 0xff || (character !== '%' && code > 0x7e)) {
      return { detail: 'The stream path has a character outside ASCII: percent-encode it as UTF-8.' }
    }
    const decoded = String.fromCharCode(code)
    canonical += UNRESERVED.test(decoded) ? decoded : `%${code.toString(16).toUpperCase().padStart(2, '0')}`
  }
  return canonical
}
