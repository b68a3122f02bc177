/** ETags of reads and the comparison of `If-None-Match` (section 2.9, RFC 9110 13.1.2). */
import type { StreamId } from './stream-state.ts'

/** Names one answer: incarnation, requested start, end, and whether it said that the stream has ended. */
export function entityTag(id: StreamId, startToken: string, end: string, atEnd: boolean): string {
  return `"${id}:${startToken}:${end}${atEnd ? ':c' : ''}"`
}

const TAG = /[\s,]*(?:W\/)?("[^"]*")[ \t]*(?=,|$)/y

/** Whether a tag is in an `If-None-Match` list, by weak comparison; `*` matches whatever exists. */
export function matchesTag(ifNoneMatch: string, tag: string): boolean {
  if (ifNoneMatch.trim() === '*') return true
  TAG.lastIndex = 0
  for (let match = TAG.exec(ifNoneMatch); match !== null; match = TAG.exec(ifNoneMatch)) {
    if (match[1] === tag) return true
  }
  return false
}
