/**
 * The admin socket: HTTP on a unix socket in the data directory, for whoever may read that directory anyway. It is
 * there while the store is open.
 */
import { chmod, mkdir, rename, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { createAdminListener, type SnapshotStore } from './admin-routes.ts'
import { openSocketFolder, type SocketFolder } from './socket-path.ts'

/** Name of the socket in the data directory. */
export const ADMIN_SOCKET = 'admin.sock'
/** Where the socket is made: a folder that nobody else may enter. */
const MAKING = 'admin.new'
const MADE = `${MAKING}/${ADMIN_SOCKET}`

/** What the admin socket serves, and where. */
export interface AdminOptions {
  /** The directory of the store, which its process owns: a socket that is found there is a dead process's. */
  readonly dataDir: string
  readonly store: SnapshotStore
  /** Told about faults that a request met. */
  readonly onError: (error: unknown) => void
}

/** A listening admin socket. */
export interface AdminSocket {
  /** Removes the socket and ends its connections. To be called before the store is closed. */
  close(): Promise<void>
}

/**
 * Listens at `admin.sock` in the data directory, readable and writable by this user only. Rejects with
 * `SocketPathTooLong`, or with the system's error, where there can be no socket; the store is usable without it.
 *
 * The socket is bound in a folder of mode 0700, gets its mode there, and is then moved to its place, over whatever
 * an earlier process left. So it is never more open than it should be, and never missing. A `umask` would do that
 * too, but for every file that any thread of the process makes meanwhile.
 */
export async function openAdminSocket(options: AdminOptions): Promise<AdminSocket> {
  const { dataDir } = options
  const folder = await openSocketFolder(dataDir, MADE.length)
  const making = join(dataDir, MAKING)
  const server = createServer({ requestTimeout: 0, keepAliveTimeout: 0 }, createAdminListener(options))
  const connections = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    connections.add(socket)
    socket.once('close', () => connections.delete(socket))
  })
  try {
    await rm(making, { recursive: true, force: true })
    await mkdir(making, { mode: 0o700 })
    await listen(server, folder)
    await chmod(join(dataDir, MADE), 0o600)
    await rename(join(dataDir, MADE), join(dataDir, ADMIN_SOCKET))
    await rm(making, { recursive: true })
  } catch (error) {
    server.close()
    await rm(making, { recursive: true, force: true })
    await folder.release()
    throw error
  }
  let closing: Promise<void> | undefined
  return {
    close() {
      closing ??= stop(server, connections, join(dataDir, ADMIN_SOCKET), folder)
      return closing
    },
  }
}

function listen(server: Server, folder: SocketFolder): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ path: folder.pathOf(MADE) }, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

async function stop(
  server: Server,
  connections: ReadonlySet<Socket>,
  path: string,
  folder: SocketFolder,
): Promise<void> {
  await rm(path, { force: true })
  await new Promise<void>((resolve) => {
    server.close(() => resolve())
    for (const socket of connections) socket.destroy()
    server.closeAllConnections()
  })
  await folder.release()
}
