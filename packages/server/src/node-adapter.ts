/** `node:http` and `node:http2` around the neutral handler: bytes in, bytes out, back-pressure and aborts. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import {
  isLiveBody,
  type LiveBody,
  type LiveReader,
  type ReceivingRoom,
  type WireRequest,
  type WireResponse,
} from '@millrace/protocol'
import { inTurn } from './answers-owed.ts'
import { readNodeBody } from './node-body.ts'
import type { WireHandler } from './wire-handler.ts'

/** Largest body whose pieces are joined into one write; more are written one by one. */
const JOIN_BYTES = 64 * 1024

/** Answers one request of a Node server. */
export type NodeListener = (request: IncomingMessage, response: ServerResponse) => void

/** Makes a listener. `isDraining` asks clients to open no further request on their connections. */
export function createNodeListener(handler: WireHandler, isDraining: () => boolean): NodeListener {
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const answered = await handler(new NodeRequest(request, response))
    if (!isGone(response)) send(response, answered, isDraining() && request.httpVersionMajor < 2)
  }
  return (request, response) => {
    if (request.httpVersionMajor >= 2) {
      answer(request, response)
      return
    }
    // Requests of one connection take effect one after the other, however many arrive at once (RFC 9112, 9.3.2).
    inTurn(request, response, () => answer(request, response))
  }
}

/** The response of HTTP/2 does not say so itself. */
function isGone(response: ServerResponse & { readonly stream?: { readonly destroyed: boolean } }): boolean {
  return response.destroyed || response.stream?.destroyed === true
}

class NodeRequest implements WireRequest {
  readonly method: string
  readonly target: string
  readonly #message: IncomingMessage
  readonly #response: ServerResponse
  /** The authority of an absolute-form target, which counts instead of the Host header (RFC 9112, 3.2.2). */
  readonly #authority: string | undefined

  constructor(message: IncomingMessage, response: ServerResponse) {
    this.#message = message
    this.#response = response
    this.method = message.method ?? ''
    const target = fullTarget(message)
    const absolute = target.startsWith('/') ? null : ABSOLUTE_FORM.exec(target)
    this.#authority = absolute?.[1]
    this.target = absolute ? pathOf(absolute[2] ?? '') : target
  }

  get scheme(): 'http' | 'https' {
    return 'encrypted' in this.#message.socket ? 'https' : 'http'
  }

  get client(): string | undefined {
    return this.#message.socket.remoteAddress
  }

  get hasClientCertificate(): boolean {
    const { socket } = this.#message
    return 'authorized' in socket && socket.authorized === true
  }

  readonly header = (name: string): string | undefined => {
    if (name === 'host' && this.#authority !== undefined) return this.#authority
    if (name === 'host' || name === 'content-type' || name === 'authorization') {
      const values = allValues(this.#message.rawHeaders, name)
      // HTTP/2 has the authority in a field of its own.
      return values ?? (name === 'host' ? this.#message.headers[':authority']?.toString() : undefined)
    }
    const value = this.#message.headers[name]
    return typeof value === 'string' || value === undefined ? value : value.join(', ')
  }

  readBody(maxBytes: number, room: ReceivingRoom): ReturnType<WireRequest['readBody']> {
    return readNodeBody(this.#message, maxBytes, room)
  }

  onAborted(listener: () => void): void {
    const response = this.#response
    if (isGone(response)) listener()
    else {
      response.once('close', () => {
        if (!response.writableFinished) listener()
      })
    }
  }
}

/** Frameworks that mount a handler below a path shorten `url` and keep the original beside it. */
function fullTarget(message: IncomingMessage & { readonly originalUrl?: string }): string {
  return message.originalUrl ?? message.url ?? '/'
}

/** A proxy's target: authority, and the rest (RFC 9112, 3.2.2). */
const ABSOLUTE_FORM = /^https?:\/\/([^/?]*)(.*)$/i

function pathOf(rest: string): string {
  return rest.startsWith('/') ? rest : `/${rest}`
}

/** Node keeps the first of some repeated headers; here a repetition shows, so that it can be refused. */
function allValues(rawHeaders: readonly string[], name: string): string | undefined {
  let values: string | undefined
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const candidate = rawHeaders[i]
    if (candidate?.length !== name.length || candidate.toLowerCase() !== name) continue
    const value = rawHeaders[i + 1] ?? ''
    values = values === undefined ? value : `${values}, ${value}`
  }
  return values
}

function send(response: ServerResponse, answer: WireResponse, isDraining: boolean): void {
  const { status, headers, body } = answer
  const all = isDraining ? [...headers, 'Connection', 'close'] : headers
  response.writeHead(status, all.slice())
  if (body === undefined) response.end()
  else if (body instanceof Uint8Array) response.end(body)
  else if (isLiveBody(body)) sendLive(response, body)
  else sendPieces(response, body)
}

function sendPieces(response: ServerResponse, pieces: readonly Uint8Array[]): void {
  const [only] = pieces
  if (pieces.length <= 1) {
    response.end(only)
    return
  }
  const size = pieces.reduce((sum, piece) => sum + piece.length, 0)
  if (size <= JOIN_BYTES) {
    response.end(Buffer.concat(pieces, size))
    return
  }
  response.cork()
  for (const piece of pieces) response.write(piece)
  response.end()
  response.uncork()
}

/** Starts a live body; its first event leaves together with the head. */
function sendLive(response: ServerResponse, body: LiveBody): void {
  let isOver = false
  let reader: LiveReader | undefined
  response.on('close', () => {
    isOver = true
    reader?.stop()
  })
  response.on('drain', () => reader?.resume())
  reader = body.start({
    write: (bytes) => isOver || response.write(bytes),
    end: () => response.end(),
    abort: () => response.destroy(),
  })
  if (!response.headersSent || response.writableLength === 0) response.flushHeaders()
  if (isOver) reader.stop()
}
