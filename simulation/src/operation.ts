/** Random commands of clients, whose bytes say which operation they belong to. */
import {
  type AppendCommand,
  type CreateCommand,
  type Expiry,
  encodeJsonMessages,
  type ForkRequest,
  generationAt,
  type Payload,
  type ProducerStamp,
  parseStreamPath,
  type StreamPath,
  type StreamState,
  streamId,
} from '@millrace/protocol'
import type { SeededRandom } from './seeded-random.ts'
import type { Piece } from './store-model.ts'

/** The path of a name. */
export function pathOf(name: string): StreamPath {
  const parsed = parseStreamPath(name)
  if (parsed.kind !== 'stream') throw new Error(`${name} is no path`)
  return parsed.path
}

/** Every path that a client uses. */
export const PATHS: readonly StreamPath[] = ['a', 'b', 'c', 'd/e', 'd/f', 'g', 'h', 'i'].map(pathOf)

/** Bytes of an operation: its number, their length, and a filling that follows from both. */
export function textBody(op: number, length: number): Buffer {
  const head = `<${op}:${length}:`
  const filler = String.fromCharCode(97 + (op % 26)).repeat(Math.max(0, length - head.length - 1))
  return Buffer.from(`${head}${filler}>`)
}

function jsonBody(op: number, length: number, messages: number): Buffer {
  const fill = String.fromCharCode(97 + (op % 26)).repeat(Math.floor(length / messages))
  const values = Array.from({ length: messages }, (_, order) => ({ op, order, fill }))
  return Buffer.from(JSON.stringify(messages === 1 ? values[0] : values))
}

/** A body for a media type. */
export function bodyFor(mediaType: string, op: number, random: SeededRandom): Buffer {
  const length = random.chance(0.1) ? random.between(300, 2500) : random.between(8, 150)
  return mediaType === 'application/json' ? jsonBody(op, length, random.between(1, 3)) : textBody(op, length)
}

function payloadOf(mediaType: string, body: Buffer): Payload {
  const bytes = new Uint8Array(body)
  if (mediaType !== 'application/json') return { kind: 'bytes', bytes, messages: 1 }
  const json = encodeJsonMessages(bytes, 64)
  if (json.kind !== 'messages') throw new Error('the body is not what it should be')
  return { kind: 'bytes', bytes: json.bytes, messages: json.count }
}

/** What an append says, so that it can be said again. */
export interface AppendWords {
  readonly op: number
  readonly path: StreamPath
  readonly mediaType: string
  readonly body: Buffer | undefined
  readonly closes: boolean
  readonly producer: ProducerStamp | undefined
  readonly streamSeq: string | undefined
}

/** The command of these words. */
export function appendCommand(words: AppendWords): AppendCommand {
  const { path, mediaType, body, closes, producer, streamSeq } = words
  return {
    kind: 'append',
    path,
    mediaType: body === undefined ? undefined : mediaType,
    payload: body === undefined ? { kind: 'none' } : payloadOf(mediaType, body),
    closes,
    producer,
    streamSeq,
  }
}

/** What a creation depends on. */
export interface CreationContext {
  readonly op: number
  readonly path: StreamPath
  readonly nowMs: number
  readonly source: { readonly state: StreamState; readonly pieces: readonly Piece[] } | undefined
}

/** A random creation, plain or forked. */
export function createCommand(random: SeededRandom, context: CreationContext): CreateCommand {
  const { op, path, nowMs, source } = context
  const contentType =
    source !== undefined || random.chance(0.1) ? undefined : random.pick(['text/plain', 'application/json'])
  const mediaType = source?.state.mediaType ?? contentType ?? 'application/octet-stream'
  return {
    kind: 'create',
    path,
    id: streamId(`id${op}`),
    contentType,
    mediaType: contentType,
    expiry: expiry(random, nowMs),
    closed: random.chance(0.05),
    body: random.chance(0.4) ? new Uint8Array(bodyFor(mediaType, op, random)) : new Uint8Array(0),
    fork: source && forkOf(random, source.state, source.pieces),
  }
}

function expiry(random: SeededRandom, nowMs: number): Expiry | undefined {
  const draw = random.next()
  if (draw < 0.12) return { kind: 'ttl', ttlSeconds: random.between(1, 8) }
  if (draw > 0.05 + 0.12) return undefined
  const instantMs = nowMs + random.between(10, 5000)
  return { kind: 'at', instantMs, text: new Date(instantMs).toISOString() }
}

/** At the tail, between appends, or so many bytes or messages into one. */
function forkOf(random: SeededRandom, state: StreamState, pieces: readonly Piece[]): ForkRequest {
  const sourcePath = state.path
  if (pieces.length === 0 || random.chance(0.3)) return { sourcePath, forkAt: undefined, subOffset: 0 }
  const piece = random.pick(pieces)
  const forkAt = { generation: generationAt(state.cuts, piece.at), position: piece.at }
  if (random.chance(0.5)) return { sourcePath, forkAt, subOffset: 0 }
  const most = state.format === 'json' ? 1 : piece.bytes.length
  return { sourcePath, forkAt, subOffset: random.between(0, most) }
}
