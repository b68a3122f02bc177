/** The web-standard adapter: `Request` in, `Response` out. Runs on Bun, Deno, edge runtimes and in frameworks. */
import {
  type BodyReceived,
  isLiveBody,
  joined,
  type LiveBody,
  type LiveReader,
  type ReceivingRoom,
  type WireRequest,
  type WireResponse,
} from '@millrace/protocol'
import { peerOf } from './fetch-peer.ts'
import { ALREADY_READ } from './node-body.ts'
import type { WireHandler } from './wire-handler.ts'

/**
 * Answers one request. The platform has normalised the path already; the normalised one is what counts. `platform` is
 * where the client's address is found, for limits per client, trusted proxies and their headers: what Bun and Deno hand
 * to their handlers, or `{ clientAddress }`, as whoever has the connection knows it. Without it all clients count as one.
 */
export type FetchHandler = (request: Request, platform?: unknown) => Promise<Response>

const EMPTY = new Uint8Array(0)

/** Makes a fetch handler. */
export function createFetchHandler(handler: WireHandler): FetchHandler {
  return async (request, platform) =>
    toResponse(await handler(toWireRequest(request, platform)), request.signal)
}

function toWireRequest(request: Request, platform: unknown): WireRequest {
  const { url, headers } = request
  const schemeEnd = url.indexOf('://')
  const pathStart = url.indexOf('/', schemeEnd + 3)
  const authority = url.slice(schemeEnd + 3, pathStart)
  const fragment = url.indexOf('#', pathStart)
  return {
    method: request.method,
    target: url.slice(pathStart, fragment < 0 ? undefined : fragment),
    // Asked for only where somebody wants to know.
    get client() {
      return peerOf(request, platform).address
    },
    get hasClientCertificate() {
      return peerOf(request, platform).hasClientCertificate
    },
    scheme: url.startsWith('https:') ? 'https' : 'http',
    // Runtimes that hide the Host header have put it into the URL.
    header: (name) => headers.get(name) ?? (name === 'host' ? authority : undefined),
    readBody: (maxBytes, room) => readBody(request, maxBytes, room),
    onAborted(listener) {
      if (request.signal.aborted) listener()
      else request.signal.addEventListener('abort', listener, { once: true })
    },
  }
}

async function readBody(request: Request, maxBytes: number, room: ReceivingRoom): Promise<BodyReceived> {
  if (request.bodyUsed) throw new Error(ALREADY_READ)
  if (request.body === null) return EMPTY
  const length = request.headers.get('content-length')
  let refused: 'too-large' | 'no-room' | undefined
  if (length !== null && Number(length) > maxBytes) refused = 'too-large'
  const chunks: Uint8Array[] = []
  let [size, taken] = [0, 0]
  try {
    for await (const chunk of request.body) {
      size += chunk.length
      if (size > maxBytes) refused ??= 'too-large'
      else if (refused === undefined && !room.take(chunk.length)) refused = 'no-room'
      if (refused === undefined) {
        taken += chunk.length
        chunks.push(chunk)
      } else chunks.length = 0
      // A refused body is read to its end, within reason, so that the client gets to see the answer.
      if (size > maxBytes * 8) break
    }
  } catch {
    // The stream of an aborted upload errors; nothing of it is stored.
    return 'aborted'
  } finally {
    room.give(taken)
  }
  return refused ?? joined(chunks)
}

function toResponse(answer: WireResponse, signal: AbortSignal): Response {
  const { status, body } = answer
  const headers = new Headers()
  for (let i = 0; i + 1 < answer.headers.length; i += 2) {
    const name = answer.headers[i] ?? ''
    // The length of an empty body is the platform's to say.
    if (name !== 'Content-Length' || body !== undefined) headers.append(name, answer.headers[i + 1] ?? '')
  }
  if (status === 499) return new Response(null, { status: 400, headers })
  return new Response(toBodyInit(body, signal), { status, headers })
}

function toBodyInit(
  body: WireResponse['body'],
  signal: AbortSignal,
): ConstructorParameters<typeof Response>[0] {
  if (body === undefined) return null
  if (isLiveBody(body)) return liveStream(body, signal)
  // `Response` takes a copy of what it is given, so stored bytes stay ours.
  return body instanceof Uint8Array ? body : joined(body)
}

/** Bytes a slow reader may leave unread before delivery pauses. */
const HIGH_WATER_BYTES = 64 * 1024

function liveStream(body: LiveBody, signal: AbortSignal): ReadableStream<Uint8Array> {
  let reader: LiveReader | undefined
  let isOver = false
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        reader = body.start({
          write(bytes) {
            if (isOver) return true
            controller.enqueue(bytes)
            return (controller.desiredSize ?? 0) > 0
          },
          end() {
            if (isOver) return
            isOver = true
            controller.close()
          },
          abort() {
            if (isOver) return
            isOver = true
            controller.error(new Error('the stream could not be read'))
          },
        })
        const leave = (): void => {
          if (isOver) return
          isOver = true
          reader?.stop()
          controller.close()
        }
        // Not every runtime cancels the body of a request that was aborted.
        if (signal.aborted) leave()
        else signal.addEventListener('abort', leave, { once: true })
      },
      pull: () => reader?.resume(),
      cancel() {
        isOver = true
        reader?.stop()
      },
    },
    new ByteLengthQueuingStrategy({ highWaterMark: HIGH_WATER_BYTES }),
  )
}
