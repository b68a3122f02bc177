/** Everything together: the database, the app that gives tokens, and the streams that are opened with them. */
import { createServer as createHttpServer, type Server } from 'node:http'
import { createServer, type MillraceServer, type StreamStorage } from '@millrace/server'
import type { Pool, PoolConfig } from 'pg'
import { Accounts } from './accounts.ts'
import { serveApp } from './app-server.ts'
import { closeDatabase, openDatabase } from './database.ts'
import { Inboxes } from './inboxes.ts'
import { KeyRing } from './key-ring.ts'
import { Sessions } from './sessions.ts'
import { AUDIENCE, TokenMint } from './token-mint.ts'

/** Origins, such as `https://app.example.com`. */
export interface PublicUrls {
  readonly app: string
  readonly streams: string
}

/** What has to be known to start. */
export interface GatekeeperOptions {
  readonly database: PoolConfig
  readonly storage: StreamStorage
  /** Port of the app on loopback; 0 picks a free one. */
  readonly port: number
  /** The same for the streams. */
  readonly streamsPort: number
  /** What browsers call the two when a proxy with TLS is in front; where they listen unless given. */
  readonly publicUrls?: PublicUrls | undefined
  /** How long a token lasts. Whoever logs out reads on for as long, at most. */
  readonly tokenSeconds: number
  readonly log: (line: string) => void
  readonly onError: (error: unknown) => void
}

/** The running app and its streams. */
export interface Gatekeeper {
  readonly appUrl: string
  readonly streamsUrl: string
  /** The next key signs from now on. */
  rotateKeys(): Promise<void>
  /** Ends readers cleanly, and closes all that was opened. */
  close(): Promise<void>
}

const ROTATE_AFTER_SECONDS = 24 * 3600
/** How much longer than its tokens a retired key is published. */
const KEEP_EXTRA_SECONDS = 600

/** Resolves when the page can be used; rejects if a port is taken or the database refuses. */
export async function startGatekeeper(options: GatekeeperOptions): Promise<Gatekeeper> {
  const { port, streamsPort, publicUrls, tokenSeconds, log, onError } = options
  const pool = await openDatabase(options.database, onError)
  const server = createHttpServer()
  let streams: MillraceServer | undefined
  try {
    const appUrl = await listen(server, port)
    const origin = publicUrls?.app ?? appUrl
    const keys = new KeyRing(pool, {
      rotateAfterSeconds: ROTATE_AFTER_SECONDS,
      keepRetiredSeconds: tokenSeconds + KEEP_EXTRA_SECONDS,
    })
    const mint = new TokenMint(keys, origin, tokenSeconds)
    const inboxes = new Inboxes(() => streams?.url ?? '', publicUrls?.streams, mint)
    const parts = { accounts: new Accounts(pool), sessions: new Sessions(pool), keys, mint, inboxes }
    // Before the streams start, which ask for the keys at once.
    serveApp(server, parts, { origin, log, onError })
    streams = await createServer({
      storage: options.storage,
      port: streamsPort,
      allowedOrigins: [origin],
      allowedHosts: publicUrls ? [new URL(publicUrls.streams).hostname] : [],
      authentication: {
        jwt: {
          keys: { jwksUrl: `${appUrl}/jwks.json` },
          issuer: origin,
          audience: AUDIENCE,
          leewaySeconds: 0,
        },
      },
      onAnswered: ({ method, path, status }) => log(`streams: ${method} ${path} ${status}`),
      onError,
    })
    const { url: streamsUrl } = streams
    const close = (): Promise<void> => closeAll(server, streams, pool)
    return { appUrl, streamsUrl, rotateKeys: () => keys.rotate(), close }
  } catch (error) {
    await closeAll(server, streams, pool)
    throw error
  }
}

function listen(server: Server, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => {
      const address = server.address()
      if (address === null || typeof address === 'string') reject(new Error('The app listens on no port'))
      else resolve(`http://127.0.0.1:${address.port}`)
    })
  })
}

async function closeAll(server: Server, streams: MillraceServer | undefined, pool: Pool): Promise<void> {
  await streams?.close()
  // Also what was never listening.
  await new Promise<void>((resolve) => {
    server.close(() => resolve())
    server.closeIdleConnections()
  })
  await closeDatabase(pool)
}
