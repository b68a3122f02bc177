/**
 * What is asked on the admin socket:
 *
 * - `POST /snapshots` begins a snapshot and answers one line of JSON, `SnapshotHead`. The answer goes on, silent,
 *   until the snapshot is over; whoever ends the connection ends the snapshot, be it by dying.
 * - `GET /snapshots/<id>/bytes/<file>?from=<n>&to=<n>` answers bytes of a file.
 * - `GET /snapshots/<id>/sha256/<file>?from=<n>&to=<n>` answers their SHA-256 in hex; at most `MOST_HASHED_BYTES`.
 *
 * A file's name is looked up in the snapshot's list and goes nowhere else. Refusals are `{code, detail}`.
 */
import { webcrypto } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'

/** A file of a snapshot. */
export interface SnapshotEntry {
  readonly name: string
  readonly bytes: number
}

/** A store as it was at one moment; the file store has them. */
export interface SnapshotFiles {
  readonly storeId: string
  readonly sequence: number
  readonly atMs: number
  readonly files: readonly SnapshotEntry[]
  read(name: string, from: number, to: number): Promise<Uint8Array>
  end(): Promise<void>
}

/** A store that can be copied while it is open. */
export interface SnapshotStore {
  beginSnapshot(): Promise<SnapshotFiles>
}

/** What `POST /snapshots` answers. */
export interface SnapshotHead {
  readonly id: number
  readonly storeId: string
  readonly sequence: number
  readonly atMs: number
  readonly files: readonly SnapshotEntry[]
}

/** Why a request was refused. */
export interface AdminRefusal {
  readonly code: 'BUSY' | 'OVER' | 'FULL' | 'BAD_REQUEST' | 'NOT_FOUND' | 'FAILED'
  readonly detail: string
}

/** Bytes of a range whose checksum may be asked for. */
export const MOST_HASHED_BYTES: number = 4 * 1024 * 1024
const PIECE_BYTES = 1024 * 1024

const STATUS: Readonly<Record<AdminRefusal['code'], number>> = {
  BUSY: 409,
  OVER: 410,
  FULL: 507,
  BAD_REQUEST: 400,
  NOT_FOUND: 404,
  FAILED: 500,
}

/** Storage packages throw these; their names are all that is known of them here. */
const CODES: ReadonlyMap<string, AdminRefusal['code']> = new Map([
  ['SnapshotBusy', 'BUSY'],
  ['SnapshotOver', 'OVER'],
  ['DiskFull', 'FULL'],
  ['RangeError', 'BAD_REQUEST'],
])

interface AdminContext {
  readonly store: SnapshotStore
  readonly onError: (error: unknown) => void
}

interface OpenSnapshot {
  readonly id: number
  readonly files: SnapshotFiles
}

/** Answers the requests of one admin socket. */
export function createAdminListener(
  context: AdminContext,
): (request: IncomingMessage, response: ServerResponse) => void {
  let open: OpenSnapshot | undefined
  let lastId = 0
  const begin = async (response: ServerResponse): Promise<void> => {
    let isGone = false
    response.once('close', () => {
      isGone = true
    })
    const files = await context.store.beginSnapshot()
    // The asker was gone before there was anything to be told of.
    if (isGone) return files.end()
    const mine = { id: ++lastId, files }
    open = mine
    response.once('close', () => {
      if (open === mine) open = undefined
      files.end().catch(context.onError)
    })
    const { storeId, sequence, atMs } = files
    const head: SnapshotHead = { id: mine.id, storeId, sequence, atMs, files: files.files }
    response.writeHead(200, { 'Content-Type': 'application/x-ndjson' })
    response.write(`${JSON.stringify(head)}\n`)
  }
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { method, url = '' } = request
    if (method === 'POST' && url === '/snapshots') return begin(response)
    const asked = parseAsked(url)
    if (method !== 'GET' || asked === undefined) {
      refuse(response, { code: 'NOT_FOUND', detail: 'There is nothing here.' })
    } else if (asked.id !== open?.id) {
      refuse(response, { code: 'OVER', detail: 'The snapshot is over.' })
    } else if (asked.kind === 'bytes') await sendBytes(response, open.files, asked)
    else await sendChecksum(response, open.files, asked)
  }
  return (request, response) => {
    request.resume()
    answer(request, response).catch((error: unknown) => fail(response, error, context.onError))
  }
}

interface Asked {
  readonly id: number
  readonly kind: 'bytes' | 'sha256'
  readonly name: string
  readonly from: number
  readonly to: number
}

function parseAsked(url: string): Asked | undefined {
  const match =
    /^\/snapshots\/([0-9]{1,15})\/(bytes|sha256)\/([^?]+)\?from=([0-9]{1,15})&to=([0-9]{1,15})$/.exec(url)
  if (match === null) return undefined
  const [, id, kind, name = '', from, to] = match
  return {
    id: Number(id),
    kind: kind === 'bytes' ? 'bytes' : 'sha256',
    name,
    from: Number(from),
    to: Number(to),
  }
}

async function sendBytes(response: ServerResponse, files: SnapshotFiles, asked: Asked): Promise<void> {
  const { name, from, to } = asked
  const entry = files.files.find((file) => file.name === name)
  // Looked at as a whole: pieces are read when the first ones have left.
  if (entry === undefined || from > to || to > entry.bytes) {
    throw new RangeError(`the snapshot has no bytes ${from} to ${to} of ${name}`)
  }
  let piece = await files.read(name, from, Math.min(to, from + PIECE_BYTES))
  response.writeHead(200, { 'Content-Type': 'application/octet-stream', 'Content-Length': to - from })
  for (let at = from; at < to; ) {
    at += piece.length
    const isTaken = response.write(piece)
    if (at < to) piece = await files.read(name, at, Math.min(to, at + PIECE_BYTES))
    if (!isTaken) await taken(response)
    if (response.destroyed) return
  }
  response.end()
}

/** Resolves when more can be written, or nobody listens any more. */
async function taken(response: ServerResponse): Promise<void> {
  if (response.destroyed || !response.writableNeedDrain) return
  const gone = new AbortController()
  const { signal } = gone
  try {
    await Promise.race([once(response, 'drain', { signal }), once(response, 'close', { signal })])
  } finally {
    gone.abort()
  }
}

/** Computed off the main thread. */
async function sendChecksum(response: ServerResponse, files: SnapshotFiles, asked: Asked): Promise<void> {
  const { name, from, to } = asked
  if (to - from > MOST_HASHED_BYTES) throw new RangeError(`at most ${MOST_HASHED_BYTES} bytes are hashed`)
  const bytes = await files.read(name, from, to)
  const digest = await webcrypto.subtle.digest('SHA-256', bytes)
  const body = Buffer.from(digest).toString('hex')
  response.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Length': body.length })
  response.end(body)
}

function fail(response: ServerResponse, error: unknown, onError: (error: unknown) => void): void {
  const name = error instanceof Error ? error.name : ''
  const code = CODES.get(name) ?? 'FAILED'
  if (code === 'FAILED') onError(error)
  // Half an answer cannot be taken back: the other side sees that it is cut.
  if (response.headersSent) response.destroy()
  else refuse(response, { code, detail: error instanceof Error ? error.message : 'The request failed.' })
}

function refuse(response: ServerResponse, refusal: AdminRefusal): void {
  const body = JSON.stringify(refusal)
  response.writeHead(STATUS[refusal.code], {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(body),
  })
  response.end(body)
}
