/** From arguments, pipes and files to messages. */
import { type FileHandle, open } from 'node:fs/promises'
import { whyNotJson } from './json-lines.ts'
import { CommandFailure, STREAM_EXIT, usageFailure } from './stream-failure.ts'

/** One message is at most this long, and so is what goes into one request. */
export const MOST_MESSAGE_BYTES: number = 32 * 1024 * 1024
const LF = 0x0a
const CR = 0x0d
const PREVIEWED_CHARACTERS = 60
const BYTE_ORDER_MARK = Buffer.from('\ufeff')

/** Bytes as they come. */
export type ByteSource = AsyncIterable<Uint8Array>

/** An input that was opened. */
export interface OpenInput {
  readonly source: ByteSource
  /** Undefined for a pipe. */
  readonly totalBytes: number | undefined
  /** Ends reading, also while nothing comes. */
  readonly stop: () => void
}

/** A message on the command line, checked. `what` names it in a sentence. */
export function messageBytes(text: string, what: string, isJson: boolean): Buffer {
  const bytes = Buffer.from(text)
  if (bytes.length === 0) throw usageFailure(`${what} is empty: leave it out. Nothing was sent.`)
  const problem = isJson ? whyNotJson(bytes) : undefined
  if (problem === undefined) return bytes
  throw usageFailure(
    `${what} is not JSON (${problem}): ${preview(bytes)}. A text needs quotes: '"hello"'. Nothing was sent.`,
  )
}

/** A file, or standard input for `-` and undefined. Throws a usage failure for one that can't be read. */
export async function openInput(path: string | undefined): Promise<OpenInput> {
  if (path === undefined || path === '-') {
    if (process.stdin.isTTY === true && path === undefined) {
      throw usageFailure('There is nothing to append: name messages, pipe them in, or use --file.')
    }
    const { stdin } = process
    return { source: stdin, totalBytes: undefined, stop: () => void stdin.destroy() }
  }
  try {
    const file = await open(path)
    return await openedFile(file, path)
  } catch (error) {
    if (error instanceof CommandFailure || !(error instanceof Error) || !('code' in error)) throw error
    throw usageFailure(`The file ${path} can't be read (${error.code}): check --file. Nothing was sent.`)
  }
}

async function openedFile(file: FileHandle, path: string): Promise<OpenInput> {
  const stat = await file.stat()
  if (stat.isDirectory()) {
    await file.close()
    throw usageFailure(`${path} is a folder: name a file in it with --file. Nothing was sent.`)
  }
  const source = file.createReadStream()
  return {
    source,
    totalBytes: stat.isFile() ? stat.size : undefined,
    stop: () => void source.destroy(),
  }
}

/** The lines of NDJSON, each checked before it is handed over; blank ones are left out. */
export async function* jsonLines(source: ByteSource): AsyncGenerator<Buffer> {
  let number = 0
  for await (const line of linesOf(source)) {
    number++
    const bare = number === 1 && line.subarray(0, 3).equals(BYTE_ORDER_MARK) ? line.subarray(3) : line
    if (isBlank(bare)) continue
    const problem = whyNotJson(bare)
    if (problem !== undefined) throw new BadLine(number, problem, bare)
    yield bare
  }
}

/** A line of the input that is not JSON. */
class BadLine extends CommandFailure {
  override readonly name: string = 'BadLine'

  constructor(line: number, problem: string, bytes: Buffer) {
    const hint =
      line === 1 ? ' Each line is one message; a value over several lines is appended with --whole.' : ''
    super(`Line ${line} is not JSON (${problem}): ${preview(bytes)}.${hint}`, STREAM_EXIT.usage)
  }
}

/** All of it as one message. */
export async function wholeInput(source: ByteSource): Promise<Buffer> {
  const pieces: Uint8Array[] = []
  let size = 0
  for await (const piece of source) {
    size += piece.length
    if (size > MOST_MESSAGE_BYTES) {
      throw usageFailure('The input is longer than 32 MiB, too much for one message. Nothing was sent.')
    }
    pieces.push(piece)
  }
  return Buffer.concat(pieces)
}

/** Pieces of exactly one size, the last one apart: the same input always gives the same pieces. */
export async function* evenPieces(source: ByteSource, size: number): AsyncGenerator<Uint8Array> {
  let piece = Buffer.alloc(size)
  let filled = 0
  for await (const chunk of source) {
    for (let at = 0; at < chunk.length; ) {
      const taken = Math.min(size - filled, chunk.length - at)
      piece.set(chunk.subarray(at, at + taken), filled)
      filled += taken
      at += taken
      if (filled < size) continue
      yield piece
      piece = Buffer.alloc(size)
      filled = 0
    }
  }
  if (filled > 0) yield piece.subarray(0, filled)
}

async function* linesOf(source: ByteSource): AsyncGenerator<Buffer> {
  let begun: Uint8Array[] = []
  let begunBytes = 0
  for await (const chunk of source) {
    let from = 0
    for (let end = chunk.indexOf(LF); end >= 0; end = chunk.indexOf(LF, from)) {
      yield withoutReturn(Buffer.concat([...begun, chunk.subarray(from, end)]))
      begun = []
      begunBytes = 0
      from = end + 1
    }
    begun.push(chunk.subarray(from))
    begunBytes += chunk.length - from
    if (begunBytes > MOST_MESSAGE_BYTES) {
      throw usageFailure('A line is longer than 32 MiB, too much for one message: is the input NDJSON?')
    }
  }
  if (begunBytes > 0) yield withoutReturn(Buffer.concat(begun))
}

function withoutReturn(line: Buffer): Buffer {
  return line.at(-1) === CR ? line.subarray(0, -1) : line
}

function isBlank(line: Buffer): boolean {
  return line.every((byte) => byte === 0x20 || byte === 0x09 || byte === CR)
}

function preview(bytes: Buffer): string {
  const text = bytes.subarray(0, 4 * PREVIEWED_CHARACTERS).toString('utf8')
  return text.length > PREVIEWED_CHARACTERS ? `${text.slice(0, PREVIEWED_CHARACTERS)}…` : text
}
