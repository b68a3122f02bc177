/** The client of a running server's admin socket. */
import { Agent, type IncomingMessage, request } from 'node:http'
import { resolve } from 'node:path'
import {
  ADMIN_SOCKET,
  type AdminRefusal,
  openSocketFolder,
  type SnapshotEntry,
  type SnapshotHead,
  type SocketFolder,
} from '@millrace/server'

/** The server went away, or gave the snapshot up: beginning anew may help. */
export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost'
}

/** Nothing listens at the data directory's socket, or this user may not speak to it. */
export class Unreachable extends Error {
  override readonly name = 'Unreachable'
  readonly reason: 'absent' | 'forbidden'

  constructor(reason: 'absent' | 'forbidden', cause: unknown) {
    super(`the admin socket is ${reason}`, { cause })
    this.reason = reason
  }
}

/** The server answered that it cannot. */
export class Refused extends Error {
  override readonly name = 'Refused'
  readonly code: AdminRefusal['code']

  constructor({ code, detail }: AdminRefusal) {
    super(detail)
    this.code = code
  }
}

/** A snapshot that a server holds for us, for as long as this process lives and the server does. */
export interface RemoteSnapshot {
  readonly storeId: string
  readonly sequence: number
  readonly atMs: number
  readonly files: readonly SnapshotEntry[]
  /** Bytes of a file as they come in. Throws `ConnectionLost` if they end early. */
  bytes(name: string, from: number, to: number): AsyncIterable<Uint8Array>
  /** Their SHA-256, in hex. */
  sha256(name: string, from: number, to: number): Promise<string>
  /** Gives it up. */
  end(): Promise<void>
}

/** Connects to the server that owns a data directory, and has it hold a snapshot. Throws any of the errors above. */
export async function beginSnapshot(dataDir: string): Promise<RemoteSnapshot> {
  const folder = await openFolder(dataDir)
  const agent = new Agent({ keepAlive: true })
  const connection: Connection = { socketPath: folder.pathOf(ADMIN_SOCKET), agent }
  const end = async (): Promise<void> => {
    held?.destroy()
    agent.destroy()
    await folder.release()
  }
  let held: IncomingMessage | undefined
  try {
    held = await ask(connection, 'POST', '/snapshots')
    const { id, ...head } = await readHead(held)
    const pathOf = (kind: string, name: string, from: number, to: number): string =>
      `/snapshots/${id}/${kind}/${name}?from=${from}&to=${to}`
    return {
      ...head,
      bytes: (name, from, to) => readBytes(connection, pathOf('bytes', name, from, to), to - from),
      async sha256(name, from, to) {
        const pieces: Uint8Array[] = []
        const path = pathOf('sha256', name, from, to)
        for await (const piece of readBytes(connection, path, undefined)) pieces.push(piece)
        return Buffer.concat(pieces).toString('latin1')
      },
      end,
    }
  } catch (error) {
    await end()
    throw error
  }
}

interface Connection {
  readonly socketPath: string
  readonly agent: Agent
}

async function openFolder(dataDir: string): Promise<SocketFolder> {
  try {
    return await openSocketFolder(resolve(dataDir), ADMIN_SOCKET.length)
  } catch (error) {
    throw connectionError(error)
  }
}

/** The answer to a request, its body not read yet; a refusal throws. */
function ask({ socketPath, agent }: Connection, method: string, path: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const asking = request({ socketPath, agent, method, path }, (response) => {
      if (response.statusCode === 200) resolve(response)
      else readRefusal(response).then((refusal) => reject(errorOf(refusal)), reject)
    })
    asking.on('error', (error) => reject(connectionError(error)))
    asking.end()
  })
}

function errorOf(refusal: AdminRefusal): Error {
  return refusal.code === 'OVER' ? new ConnectionLost(refusal.detail) : new Refused(refusal)
}

async function readRefusal(response: IncomingMessage): Promise<AdminRefusal> {
  let text = ''
  for await (const piece of response) text += String(piece)
  // The other side of this socket is a server of the same user: `admin-routes` made it.
  return JSON.parse(text) as AdminRefusal
}

/** The first line of an answer that goes on. */
function readHead(response: IncomingMessage): Promise<SnapshotHead> {
  return new Promise((resolve, reject) => {
    let text = ''
    const lose = (): void => reject(new ConnectionLost('the server ended the connection'))
    response.setEncoding('utf8')
    response.on('data', (piece: string) => {
      text += piece
      const end = text.indexOf('\n')
      if (end >= 0) resolve(JSON.parse(text.slice(0, end)) as SnapshotHead)
    })
    response.once('error', lose)
    response.once('close', lose)
  })
}

/** `length` is what has to come; `undefined` for as much as there is. */
async function* readBytes(
  connection: Connection,
  path: string,
  length: number | undefined,
): AsyncIterableIterator<Uint8Array> {
  const response = await ask(connection, 'GET', path)
  let got = 0
  try {
    for await (const piece of response as AsyncIterable<Uint8Array>) {
      got += piece.length
      yield piece
    }
  } catch (error) {
    throw connectionError(error)
  }
  if (length !== undefined && got !== length) {
    throw new ConnectionLost(`the server sent ${got} of ${length} bytes`)
  }
}

function connectionError(error: unknown): Error {
  if (error instanceof ConnectionLost || error instanceof Refused) return error
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'ENOENT' || code === 'ECONNREFUSED' || code === 'ENOTDIR')
    return new Unreachable('absent', error)
  if (code === 'EACCES' || code === 'EPERM') return new Unreachable('forbidden', error)
  if (error instanceof Error && error.name === 'SocketPathTooLong') return error
  return new ConnectionLost('the connection to the server was lost', { cause: error })
}
