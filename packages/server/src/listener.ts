/** What the server needs of a runtime's listening socket. */
import type { MillraceHandler } from './create-handler.ts'
import type { TlsOptions } from './tls-files.ts'

/** Where and how to listen. */
export interface ListenOptions {
  readonly host: string
  readonly port: number
  readonly requestTimeoutMs: number
  readonly shutdownGraceMs: number
  /** Largest head of a request, in bytes. */
  readonly maxHeaderBytes: number
  /** Connections at a time; no bound without it. */
  readonly maxConnections: number | undefined
  /** Told when connections are refused. */
  readonly onError: (error: unknown) => void
  /** Plain HTTP without it. */
  readonly tls?: TlsOptions
}

/** How many requests have come in, by the version of HTTP that they were in; those that could not be parsed are left out. */
export interface RequestCounts {
  readonly http1: number
  readonly http2: number
}

/** A listening socket. */
export interface Listener {
  readonly port: number
  requestCounts(): RequestCounts
  /** Reads certificates and keys again; new connections get them, those that are there stay. */
  reloadTls(): Promise<void>
  /** Accepts no more, drains the handler, and resolves when no request is under way. */
  stop(): Promise<void>
}

/** Starts listening; rejects when the address cannot be had. */
export type Listen = (handler: MillraceHandler, options: ListenOptions) => Promise<Listener>
