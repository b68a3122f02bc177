/** The admin socket of a server that keeps its streams in files. */
import { type MillraceServer, openAdminSocket } from '@millrace/server'
import type { FileStore } from '@millrace/storage-file'
import type { Log } from './log.ts'

/** The server, with an admin socket that lives as long as it does. Where there can be none, it says so and serves. */
export async function withAdminSocket(
  server: MillraceServer,
  store: FileStore,
  dataDir: string,
  log: Log,
): Promise<MillraceServer> {
  try {
    const onError = (error: unknown): void => log.error(error)
    const socket = await openAdminSocket({ dataDir, store, onError })
    return { ...server, close: () => socket.close().finally(() => server.close()) }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    log.warn(`millrace backup is not available: there is no admin socket in ${dataDir}. ${reason}`)
    return server
  }
}
