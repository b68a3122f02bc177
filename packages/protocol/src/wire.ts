/** The neutral request and response: all that rules and engine ever see of HTTP. Adapters are thin around them. */

/** Looks a header up by its lower-case name; repeated fields are joined by `, ` and values are trimmed. */
export type HeaderLookup = (name: string) => string | undefined

/** A request as an adapter hands it over. The body is received only when it is asked for. */
export interface WireRequest {
  readonly method: string
  /** Origin-form target as received: path and query, undecoded. */
  readonly target: string
  readonly header: HeaderLookup
  /** Scheme the client used, as far as the adapter knows. */
  readonly scheme: 'http' | 'https'
  /** Who sends it, as far as the adapter knows: an address, for limits per client. */
  readonly client: string | undefined
  /** Whether the sender of this connection showed a TLS certificate that was verified; unknown means no. */
  readonly hasClientCertificate?: boolean
  /**
   * Receives the whole body. The bytes belong to the caller; at most `maxBytes` of them are ever kept, and no more than
   * there is room for.
   */
  readBody(maxBytes: number, room: ReceivingRoom): Promise<BodyReceived> | BodyReceived
  /** Calls back once if the client goes away before the response has ended. */
  onAborted(listener: () => void): void
}

/** Memory for bodies that are coming in, of all requests together. */
export interface ReceivingRoom {
  /** Takes room for bytes; false if there is none, and nothing is taken. */
  take(bytes: number): boolean
  /** Gives it back. */
  give(bytes: number): void
}

/** A complete body, or why there is none; `no-room`: other bodies have taken all of it. */
export type BodyReceived = Uint8Array | 'too-large' | 'aborted' | 'no-room'

/** Header fields as a flat list: name, value, name, value. */
export type HeaderList = readonly string[]

/** A response for an adapter to send. */
export interface WireResponse {
  readonly status: number
  readonly headers: HeaderList
  readonly body: WireBody
}

/** No body, whole bytes, bytes in pieces to be sent without joining more often than once, or a live one. */
export type WireBody = undefined | Uint8Array | readonly Uint8Array[] | LiveBody

/** A body that goes on until its reader or its writer ends it. */
export interface LiveBody {
  /** Starts delivery once the head has been flushed. Called exactly once. */
  start(sink: LiveSink): LiveReader
}

/** Where a live body writes. */
export interface LiveSink {
  /** Sends bytes; false means: write no more until `resume` is called. The bytes must not change afterwards. */
  write(bytes: Uint8Array): boolean
  /** Ends the response cleanly. */
  end(): void
  /** Breaks the response off, so that it does not look complete. */
  abort(): void
}

/** What an adapter tells a live body. */
export interface LiveReader {
  /** The sink can take bytes again. */
  resume(): void
  /** The client is gone; nothing may be written any more. */
  stop(): void
}

/** Tells a live body from the other kinds. */
export function isLiveBody(body: WireBody): body is LiveBody {
  return body !== undefined && 'start' in body
}
