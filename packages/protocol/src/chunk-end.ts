/** Where a read that stops before the tail may end: never inside a JSON message or, for text, a character. */
import type { StreamFormat } from './media-type.ts'

const LF = 0x0a
const CR = 0x0d

/**
 * How many bytes at the end of these pieces belong to a message or character that is not complete.
 * All of them, when not even one JSON message is: then the caller reads further, up to the message's end.
 */
export function incompleteBytes(pieces: readonly Uint8Array[], format: StreamFormat): number {
  switch (format) {
    case 'json':
      return afterLastMessage(pieces)
    case 'text':
      return incompleteText(pieces)
    case 'binary':
      return 0
  }
}

/** How many bytes of these pieces complete the message they begin inside of; `undefined` if they do not. */
export function bytesToMessageEnd(pieces: readonly Uint8Array[]): number | undefined {
  let before = 0
  for (const piece of pieces) {
    const at = piece.indexOf(LF)
    if (at >= 0) return before + at + 1
    before += piece.length
  }
  return undefined
}

function afterLastMessage(pieces: readonly Uint8Array[]): number {
  let after = 0
  for (let i = pieces.length - 1; i >= 0; i--) {
    const piece = pieces[i]
    if (piece === undefined) continue
    const at = piece.lastIndexOf(LF)
    if (at >= 0) return after + piece.length - at - 1
    after += piece.length
  }
  return after
}

/** Whole UTF-8 sequences, and no cut between CR and LF; bytes that are not UTF-8 are cut where they stand. */
function incompleteText(pieces: readonly Uint8Array[]): number {
  let back = 0
  for (let i = pieces.length - 1; i >= 0; i--) {
    const piece = pieces[i]
    if (piece === undefined) continue
    for (let at = piece.length - 1; at >= 0; at--) {
      const byte = piece[at] ?? 0
      back++
      // Dropping everything would stop the reader: a first piece this short is kept as it is.
      if (back > 4 || (i === 0 && at === 0)) return 0
      if (byte < 0x80) return back === 1 && byte === CR ? 1 : 0
      if (byte >= 0xc0) return back < sequenceLength(byte) ? back : 0
    }
  }
  return 0
}

function sequenceLength(lead: number): number {
  return lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2
}
