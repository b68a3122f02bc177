/**
 * Path patterns: which streams a permission is about. They are compared with the canonical path that the store uses,
 * segment by segment, so that no other spelling of a path can mean something else here than there.
 */
import { CONTROL_SEGMENT, parseStreamPath, type StreamPath } from '@millrace/protocol'

/** The subject's own segment, or the texts between the stars of a segment: a single one stands for itself. */
type SegmentPattern = '{sub}' | readonly string[]

/** A pattern, taken apart. */
export interface PathPattern {
  readonly segments: readonly SegmentPattern[]
  /** Ended by `**`: whatever is below. */
  readonly isOpen: boolean
}

/**
 * Parses `orders/*`, `orders/**` or `users/{sub}/**`; `undefined` if it is no pattern. `*` stands for any text within
 * one segment, `**` at the end for one or more segments, `{sub}` for a segment that is the subject's name.
 */
export function parsePattern(text: string): PathPattern | undefined {
  const written = text.split('/')
  const isOpen = written.at(-1) === '**'
  const segments: SegmentPattern[] = []
  for (const segment of isOpen ? written.slice(0, -1) : written) {
    const parsed = segment === '{sub}' ? segment : parseSegment(segment)
    if (parsed === undefined) return undefined
    segments.push(parsed)
  }
  return segments[0]?.[0] === CONTROL_SEGMENT ? undefined : { segments, isOpen }
}

/** In the spelling of canonical paths, in which the reserved segment is none behind another one. */
function parseSegment(text: string): readonly string[] | undefined {
  if (text.includes('**') || text.includes('/')) return undefined
  const parsed = parseStreamPath(`x/${text}`)
  return parsed.kind === 'stream' ? parsed.path.slice(2).split('*') : undefined
}

/** Whether a stream is one of those that a pattern names. */
export function matchesPattern(pattern: PathPattern, path: StreamPath, subject: string | undefined): boolean {
  const segments = path.split('/')
  const named = pattern.segments.length
  if (pattern.isOpen ? segments.length <= named : segments.length !== named) return false
  return pattern.segments.every((one, at) => matchesSegment(one, segments[at] ?? '', subject))
}

function matchesSegment(pattern: SegmentPattern, segment: string, subject: string | undefined): boolean {
  if (pattern === '{sub}') return subject !== undefined && isSpelling(segment, subject)
  const [first = '', ...others] = pattern
  const last = others.pop()
  if (last === undefined) return segment === first
  if (!segment.startsWith(first)) return false
  let at = first.length
  for (const text of others) {
    const found = segment.indexOf(text, at)
    if (found < 0) return false
    at = found + text.length
  }
  return segment.length - last.length >= at && segment.endsWith(last)
}

/** Each canonical segment spells one name only, so no stream can belong to two subjects. */
function isSpelling(segment: string, name: string): boolean {
  try {
    return decodeURIComponent(segment) === name
  } catch {
    // Bytes that are not UTF-8 spell nobody's name.
    return false
  }
}
