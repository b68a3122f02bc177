/** What the server needs of a runtime's listening socket. */
import type { MillraceHandler } from './create-handler.ts'

/** Where and how to listen. */
export interface ListenOptions {
  readonly host: string
  readonly port: number
  readonly requestTimeoutMs: number
  readonly shutdownGraceMs: number
}

/** A listening socket. */
export interface Listener {
  readonly port: number
  /** Accepts no more, drains the handler, and resolves when no request is under way. */
  stop(): Promise<void>
}

/** Starts listening; rejects when the address cannot be had. */
export type Listen = (handler: MillraceHandler, options: ListenOptions) => Promise<Listener>
