/**
 * One keep-alive connection to a server on a raw socket, one request outstanding at a time.
 * Opens itself when a request needs it and again after the server closed it. Reads of all connections go
 * through one buffer, so a read allocates next to nothing.
 */
import { connect, type Socket } from 'node:net'
import { type ResponseHead, ResponseParser, type ResponseSink } from './http-response-parser.ts'

/** Where a server listens. */
export interface Origin {
  readonly host: string
  readonly port: number
  /** Value of the Host header. */
  readonly authority: string
}

export interface ExchangeSink extends ResponseSink {
  /** The request was not answered completely; nothing else follows. */
  onFailure(error: Error): void
}

/** A response collected whole. */
export interface Exchange {
  readonly head: ResponseHead
  readonly status: number
  readonly body: Buffer
}

/** Every read callback ends before the next read starts, so one buffer serves all sockets. */
const READ_BUFFER: Buffer = Buffer.allocUnsafeSlow(262_144)

/** A connection idle for longer is not reused: servers close idle ones after a few seconds. */
const MAX_IDLE_MS = 2_000

export function parseOrigin(url: string): Origin {
  const parsed = new URL(url)
  if (parsed.protocol !== 'http:') throw new Error(`only http:// is supported, not ${url}`)
  const port = parsed.port === '' ? 80 : Number(parsed.port)
  return { host: parsed.hostname.replace(/^\[|\]$/g, ''), port, authority: parsed.host }
}

export class HttpConnection {
  readonly origin: Origin
  /** How often a socket was opened. */
  opens = 0
  #socket: Socket | undefined
  #parser: ResponseParser = new ResponseParser()
  #relay: ResponseSink | undefined
  #sink: ExchangeSink | undefined
  #idleSince = 0

  constructor(origin: Origin) {
    this.origin = origin
  }

  /** Sends one whole request (head and body). The previous exchange must have ended. */
  send(request: string | Buffer, sink: ExchangeSink): void {
    if (this.#sink !== undefined) throw new Error('a request is outstanding on this connection')
    if (this.#socket !== undefined && performance.now() - this.#idleSince > MAX_IDLE_MS) this.abort()
    const socket = this.#socket ?? this.#open()
    this.#sink = sink
    const toHead = typeof request === 'string' && request.startsWith('HEAD ')
    if (this.#relay !== undefined) this.#parser.begin(this.#relay, toHead)
    if (typeof request === 'string') socket.write(request, 'latin1')
    else socket.write(request)
  }

  /** Sends a request and collects the response. */
  exchange(request: string | Buffer): Promise<Exchange> {
    return new Promise((resolve, reject) => {
      const parts: Buffer[] = []
      let head: ResponseHead | undefined
      this.send(request, {
        onHead: (received) => {
          head = received
        },
        onBody: (bytes) => {
          parts.push(Buffer.from(bytes))
        },
        onEnd: () => {
          if (head !== undefined) resolve({ head, status: head.status, body: Buffer.concat(parts) })
        },
        onFailure: reject,
      })
    })
  }

  /** Drops the socket at once, in the middle of a response if need be. The sink hears nothing more. */
  abort(): void {
    const socket = this.#socket
    this.#socket = undefined
    this.#sink = undefined
    socket?.destroy()
  }

  #open(): Socket {
    const parser = new ResponseParser()
    let failure: Error | undefined
    const onRead = (count: number): boolean => {
      if (this.#socket !== socket) return false
      try {
        parser.feed(READ_BUFFER.subarray(0, count))
      } catch (error) {
        // Without a request outstanding nobody could be told: unasked bytes, or a fault in a sink's onEnd.
        if (this.#sink === undefined) throw error
        this.#fail(socket, error instanceof Error ? error : new Error(String(error)))
      }
      return true
    }
    const socket = connect({
      host: this.origin.host,
      port: this.origin.port,
      noDelay: true,
      onread: { buffer: READ_BUFFER, callback: onRead },
    })
    socket.on('error', (error) => {
      failure = error
    })
    socket.on('close', () => {
      this.#fail(socket, failure ?? new Error('the connection was closed before the response ended'))
    })
    this.opens += 1
    this.#parser = parser
    this.#relay = this.#relayFor(socket)
    this.#socket = socket
    this.#idleSince = performance.now()
    return socket
  }

  /** Bound to its socket: a sink may abort and send again while the old parser is still at work. */
  #relayFor(socket: Socket): ResponseSink {
    return {
      onHead: (head) => {
        if (this.#socket === socket) this.#sink?.onHead(head)
      },
      onBody: (bytes) => {
        if (this.#socket === socket) this.#sink?.onBody(bytes)
      },
      onEnd: (closes) => {
        if (this.#socket !== socket) return
        const sink = this.#sink
        this.#sink = undefined
        if (closes) this.abort()
        else this.#idleSince = performance.now()
        sink?.onEnd(closes)
      },
    }
  }

  #fail(socket: Socket, error: Error): void {
    if (this.#socket !== socket) return
    const sink = this.#sink
    this.abort()
    sink?.onFailure(error)
  }
}
