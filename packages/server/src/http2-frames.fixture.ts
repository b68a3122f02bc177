/** HTTP/2 frame by frame, as a client that keeps to no rule sends them: the one of Node would not. */
import { once } from 'node:events'
import { connect, type TLSSocket } from 'node:tls'

/** Frame types (RFC 9113, 6). */
export const FRAME = {
  data: 0,
  headers: 1,
  reset: 3,
  settings: 4,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const

/** Flags; `ack` and `endStream` are the same bit of different frames. */
export const FLAG = { ack: 1, endStream: 1, endHeaders: 4 } as const

/** Error codes that these tests meet (RFC 9113, 7). */
export const ERROR = { refusedStream: 7, enhanceYourCalm: 11 } as const

/** A frame that came back. */
export interface Frame {
  readonly type: number
  readonly flags: number
  readonly stream: number
  readonly payload: Buffer
}

/** The bytes of one frame. */
export function frame(type: number, flags: number, stream: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

/** Four bytes that hold a number: an error code, or the growth of a window. */
export function number32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

/** One setting. */
export function setting(id: number, value: number): Buffer {
  const bytes = Buffer.alloc(6)
  bytes.writeUInt16BE(id)
  bytes.writeUInt32BE(value, 2)
  return bytes
}

/** A header block without compression: every field literal and never indexed (RFC 7541, 6.2.2). */
export function headerBlock(fields: Readonly<Record<string, string>>): Buffer {
  const parts = Object.entries(fields).flatMap(([name, value]) => [
    Buffer.of(0),
    hpackText(name),
    hpackText(value),
  ])
  return Buffer.concat(parts)
}

function hpackText(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1')
  if (bytes.length < 127) return Buffer.concat([Buffer.of(bytes.length), bytes])
  const length = [127]
  let rest = bytes.length - 127
  for (; rest >= 128; rest = Math.floor(rest / 128)) length.push((rest % 128) + 128)
  return Buffer.concat([Buffer.from([...length, rest]), bytes])
}

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'

/** A connection to a server, on which nothing is sent that a test does not send. */
export class RawHttp2 {
  readonly frames: Frame[] = []
  /** Resolves when the connection is over, however that came about. */
  readonly closed: Promise<void>
  readonly #socket: TLSSocket
  #unparsed = Buffer.alloc(0)
  #waiting: (() => void)[] = []
  isClosed = false

  private constructor(socket: TLSSocket) {
    this.#socket = socket
    // A reset is one way of being closed.
    socket.on('error', () => undefined)
    socket.on('data', (bytes: Buffer) => this.#take(bytes))
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        this.isClosed = true
        resolve()
        this.#wake()
      })
    })
  }

  /** Shakes hands, and agrees on HTTP/2. */
  static async connect(port: number, ca: string): Promise<RawHttp2> {
    const socket = connect({ host: '127.0.0.1', port, ca, ALPNProtocols: ['h2'] })
    const raw = new RawHttp2(socket)
    await once(socket, 'secureConnect')
    return raw
  }

  /** Writes bytes; resolves when they have left, or cannot any more. */
  async send(...bytes: readonly Uint8Array[]): Promise<void> {
    // Half closed is closed soon: until then a caller that loops has to let others go on.
    if (!this.#socket.writable) return this.closed
    const written = new Promise<void>((resolve) => this.#socket.write(Buffer.concat(bytes), () => resolve()))
    await Promise.race([written, this.closed])
  }

  /** Preface and settings, which every connection begins with. */
  begin(...settings: readonly Uint8Array[]): Promise<void> {
    return this.send(Buffer.from(PREFACE), frame(FRAME.settings, 0, 0, Buffer.concat(settings)))
  }

  /** The first frame that fits, now or later; `undefined` if the connection ends without it. */
  async until(fits: (frame: Frame) => boolean): Promise<Frame | undefined> {
    for (;;) {
      const found = this.frames.find(fits)
      if (found !== undefined || this.isClosed) return found
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
  }

  /** Reads no more: what the server sends stays with the server. */
  stopReading(): void {
    this.#socket.pause()
  }

  destroy(): void {
    this.#socket.destroy()
  }

  #take(bytes: Buffer): void {
    this.#unparsed = Buffer.concat([this.#unparsed, bytes])
    while (this.#unparsed.length >= 9) {
      const end = 9 + this.#unparsed.readUIntBE(0, 3)
      if (this.#unparsed.length < end) break
      this.frames.push({
        type: this.#unparsed.readUInt8(3),
        flags: this.#unparsed.readUInt8(4),
        stream: this.#unparsed.readUInt32BE(5),
        payload: this.#unparsed.subarray(9, end),
      })
      this.#unparsed = this.#unparsed.subarray(end)
    }
    this.#wake()
  }

  #wake(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const wake of waiting) wake()
  }
}
