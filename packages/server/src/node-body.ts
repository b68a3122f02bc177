/** Receiving a request body from `node:http`, bounded, whatever the framing headers promise. */
import type { IncomingMessage } from 'node:http'
import type { BodyReceived, ReceivingRoom } from '@millrace/protocol'

/** Says what to change in the program that embeds the handler. */
export const ALREADY_READ =
  'The body of a request was read before it came here: mount the streams before any body parser.'

const EMPTY = new Uint8Array(0)

/** Bytes of a refused body that are read and thrown away so that the client gets to see the answer. */
const DISCARD_FACTOR = 8

/** The whole body, or why there is none. Never keeps more than `maxBytes`, and than there is room for. */
export function readNodeBody(
  message: IncomingMessage,
  maxBytes: number,
  room: ReceivingRoom,
): Promise<BodyReceived> | BodyReceived {
  const length = message.headers['content-length']
  // HTTP/2 frames bodies by itself: there a request without a length may well have one.
  const isFramed = message.httpVersionMajor >= 2 || message.headers['transfer-encoding'] !== undefined
  if (length === '0' || (length === undefined && !isFramed)) return EMPTY
  if (message.readableEnded) throw new Error(ALREADY_READ)
  if (length !== undefined && Number(length) > maxBytes) {
    discard(message, maxBytes)
    return 'too-large'
  }
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    let size = 0
    let isOver = false
    const finish = (received: BodyReceived): void => {
      if (isOver) return
      isOver = true
      room.give(size)
      resolve(received)
    }
    const refuse = (why: 'too-large' | 'no-room'): void => {
      message.off('data', onData)
      discard(message, maxBytes)
      chunks.length = 0
      finish(why)
    }
    const onData = (chunk: Buffer): void => {
      if (size + chunk.length > maxBytes) refuse('too-large')
      else if (!room.take(chunk.length)) refuse('no-room')
      else {
        size += chunk.length
        chunks.push(chunk)
      }
    }
    message.on('data', onData)
    message.once('end', () => finish(joinChunks(chunks, size)))
    message.once('close', () => finish('aborted'))
  })
}

function joinChunks(chunks: readonly Buffer[], size: number): Uint8Array {
  const [only] = chunks
  return only !== undefined && chunks.length === 1 ? only : Buffer.concat(chunks, size)
}

/** Reads the rest of a body that nobody wants, up to a bound; beyond it the connection is given up. */
function discard(message: IncomingMessage, maxBytes: number): void {
  let left = maxBytes * DISCARD_FACTOR
  message.on('data', (chunk: Buffer) => {
    left -= chunk.length
    if (left < 0) message.destroy()
  })
  message.resume()
}
