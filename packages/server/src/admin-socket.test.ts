import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { type IncomingMessage, request } from 'node:http'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { MOST_HASHED_BYTES, type SnapshotFiles, type SnapshotStore } from './admin-routes.ts'
import { type AdminSocket, openAdminSocket } from './admin-socket.ts'
import { openSocketFolder, type SocketFolder } from './socket-path.ts'

const BYTES = Buffer.alloc(3_000_000, 'the bytes of a block file, ')
const NAME = 'blocks/0000000001.blk'

/** A store whose snapshots hold one file. */
class OneFileStore implements SnapshotStore {
  begun = 0
  ended = 0
  failure: Error | undefined
  readonly #waiting = new Set<() => void>()

  async beginSnapshot(): Promise<SnapshotFiles> {
    if (this.failure !== undefined) throw this.failure
    this.begun++
    return {
      storeId: 'store',
      sequence: 7,
      atMs: 1,
      files: [{ name: NAME, bytes: BYTES.length }],
      read: async (name, from, to) => {
        if (this.failure !== undefined) throw this.failure
        if (name !== NAME) throw new RangeError(`${name} is not in the snapshot`)
        if (from > to || to > BYTES.length) throw new RangeError('not in the file')
        return BYTES.subarray(from, to)
      },
      end: async () => {
        this.ended++
        for (const wake of this.#waiting) wake()
      },
    }
  }

  async hasEnded(): Promise<void> {
    if (this.ended < this.begun) await new Promise<void>((resolve) => this.#waiting.add(resolve))
  }
}

const cleanups: (() => unknown)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

function newDir(below = ''): string {
  const root = mkdtempSync(join(tmpdir(), 'millrace-admin-'))
  cleanups.push(() => rmSync(root, { recursive: true, force: true }))
  const dir = join(root, below)
  mkdirSync(dir, { recursive: true })
  return dir
}

interface Opened {
  readonly store: OneFileStore
  readonly socket: AdminSocket
  readonly folder: SocketFolder
  readonly errors: readonly unknown[]
}

async function openAt(dataDir: string): Promise<Opened> {
  const store = new OneFileStore()
  const errors: unknown[] = []
  const socket = await openAdminSocket({ dataDir, store, onError: (error) => errors.push(error) })
  const folder = await openSocketFolder(dataDir, 20)
  cleanups.push(
    () => folder.release(),
    () => socket.close(),
  )
  return { store, socket, folder, errors }
}

function ask({ folder }: Opened, method: string, path: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const asking = request({ socketPath: folder.pathOf('admin.sock'), method, path, agent: false }, resolve)
    asking.on('error', reject)
    asking.end()
  })
}

async function bodyOf(response: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const piece of response as AsyncIterable<Buffer>) pieces.push(piece)
  return Buffer.concat(pieces)
}

/** Begins a snapshot; the response has to be destroyed to end it. */
async function begin(opened: Opened): Promise<{ readonly held: IncomingMessage; readonly id: number }> {
  const held = await ask(opened, 'POST', '/snapshots')
  held.on('error', () => undefined)
  const line = await new Promise<string>((resolve) => held.once('data', (piece) => resolve(String(piece))))
  return { held, id: JSON.parse(line).id }
}

describe('the socket', () => {
  it('is for this user only, in a directory that anybody may enter, and goes with the server', async () => {
    const dataDir = newDir()
    const { socket } = await openAt(dataDir)
    const stats = statSync(join(dataDir, 'admin.sock'))
    expect([stats.isSocket(), (stats.mode & 0o777).toString(8)]).toEqual([true, '600'])
    expect(readdirSync(dataDir)).toEqual(['admin.sock'])
    await socket.close()
    await socket.close()
    expect(readdirSync(dataDir)).toEqual([])
  })

  it('takes the place of one that a dead process left', async () => {
    const dataDir = newDir()
    const dead = createServer()
    await new Promise<void>((resolve) => dead.listen(join(dataDir, 'real.sock'), resolve))
    renameSync(join(dataDir, 'real.sock'), join(dataDir, 'admin.sock'))
    await new Promise((resolve) => dead.close(resolve))
    mkdirSync(join(dataDir, 'admin.new'))
    expect(existsSync(join(dataDir, 'admin.sock'))).toBe(true)
    const opened = await openAt(dataDir)
    const { held } = await begin(opened)
    held.destroy()
    expect(readdirSync(dataDir)).toEqual(['admin.sock'])
  })

  it.runIf(process.platform === 'linux')('is reached below a path too long for a socket', async () => {
    const opened = await openAt(newDir('x'.repeat(120)))
    const { held, id } = await begin(opened)
    const answer = await ask(opened, 'GET', `/snapshots/${id}/bytes/${NAME}?from=0&to=5`)
    expect((await bodyOf(answer)).toString()).toBe('the b')
    held.destroy()
    await opened.store.hasEnded()
  })

  it('cannot be where there is no directory', async () => {
    const store = new OneFileStore()
    const dataDir = join(newDir(), 'missing')
    await expect(openAdminSocket({ dataDir, store, onError: () => undefined })).rejects.toThrow('ENOENT')
  })
})

describe('a snapshot', () => {
  it('is held until its connection ends, however it ends', async () => {
    const opened = await openAt(newDir())
    const { held, id } = await begin(opened)
    expect([opened.store.begun, opened.store.ended]).toEqual([1, 0])
    held.destroy()
    await opened.store.hasEnded()
    const late = await ask(opened, 'GET', `/snapshots/${id}/bytes/${NAME}?from=0&to=5`)
    expect(late.statusCode).toBe(410)
    late.resume()
    await begin(opened)
    await opened.socket.close()
    await opened.store.hasEnded()
    expect([opened.store.begun, opened.store.ended]).toEqual([2, 2])
  })

  it('gives ranges of its files, and their checksums', async () => {
    const opened = await openAt(newDir())
    const { held, id } = await begin(opened)
    for (const [from, to] of [
      [0, BYTES.length],
      [1_234_567, 2_999_999],
      [5, 5],
    ] as const) {
      const range = `${NAME}?from=${from}&to=${to}`
      const bytes = await bodyOf(await ask(opened, 'GET', `/snapshots/${id}/bytes/${range}`))
      expect(bytes.equals(BYTES.subarray(from, to))).toBe(true)
      const sha256 = await bodyOf(await ask(opened, 'GET', `/snapshots/${id}/sha256/${range}`))
      expect(sha256.toString()).toBe(createHash('sha256').update(bytes).digest('hex'))
    }
    held.destroy()
  })

  it.each([
    ['GET', '/', 404],
    ['GET', '/snapshots', 404],
    ['PUT', '/snapshots', 404],
    ['GET', `/snapshots/1/bytes/${NAME}`, 404],
    ['GET', '/snapshots/1/bytes/../../LOCK?from=0&to=1', 400],
    ['GET', '/snapshots/1/bytes/%2e%2e/LOCK?from=0&to=1', 400],
    ['GET', '/snapshots/1/bytes//etc/passwd?from=0&to=1', 400],
    ['GET', `/snapshots/1/bytes/${NAME}?from=0&to=99999999`, 400],
    ['GET', `/snapshots/1/bytes/${NAME}?from=2&to=1`, 400],
    ['GET', `/snapshots/1/sha256/${NAME}?from=0&to=${MOST_HASHED_BYTES + 1}`, 400],
    ['GET', `/snapshots/2/bytes/${NAME}?from=0&to=1`, 410],
  ])('answers %s %s with %i', async (method, path, status) => {
    const opened = await openAt(newDir())
    const { held } = await begin(opened)
    const response = await ask(opened, method, path)
    expect(response.statusCode).toBe(status)
    expect(JSON.parse((await bodyOf(response)).toString())).toMatchObject({ detail: expect.any(String) })
    expect(opened.errors).toEqual([])
    held.destroy()
  })

  it.each([
    ['SnapshotBusy', 409, 0],
    ['DiskFull', 507, 0],
    ['Error', 500, 1],
  ])('says what keeps the store from it: %s', async (name, status, faults) => {
    const opened = await openAt(newDir())
    opened.store.failure = Object.assign(new Error('because'), { name })
    const response = await ask(opened, 'POST', '/snapshots')
    expect(response.statusCode).toBe(status)
    expect(JSON.parse((await bodyOf(response)).toString()).detail).toBe('because')
    expect(opened.errors.length).toBe(faults)
  })
})
