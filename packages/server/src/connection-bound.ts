/** How many connections a server may have at a time, so that clients cannot take the files away that a store needs. */
import { readFile } from 'node:fs/promises'
import type { Server } from 'node:net'
import { OperatorNotice } from './operator-notice.ts'

/** Descriptors that are not for connections: block files, journal, index, backups, keys. */
const RESERVED = 256
/** Refused connections are told of once in this time. */
const TELL_EVERY_MS = 60_000

/**
 * What the system's bound on open files leaves for connections, at least half of it; `undefined` where the bound is not
 * known.
 */
export async function connectionsLeft(): Promise<number | undefined> {
  const limits = await readFile('/proc/self/limits', 'utf8').catch(() => '')
  const [, soft] = /^Max open files +([0-9]+)/m.exec(limits) ?? []
  if (soft === undefined) return undefined
  return Math.max(Number(soft) - RESERVED, Math.floor(Number(soft) / 2))
}

/** Closes what connects beyond the bound, and says so now and then. */
export function boundConnections(server: Server, most: number, onError: (error: Error) => void): void {
  let toldMs = Number.NEGATIVE_INFINITY
  let refused = 0
  server.maxConnections = most
  server.on('drop', () => {
    refused++
    if (performance.now() - toldMs < TELL_EVERY_MS) return
    toldMs = performance.now()
    const many = refused === 1 ? 'A connection was' : `${refused} connections were`
    onError(
      new OperatorNotice(
        `${many} refused: ${most} are open, as many as there may be (limits.max_connections).`,
      ),
    )
    refused = 0
  })
}
