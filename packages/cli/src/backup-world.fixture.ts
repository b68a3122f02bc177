/** A store behind an admin socket in this process, written to as clients do, and the directories that tests need. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type AdminSocket,
  createHandler,
  type MillraceHandler,
  openAdminSocket,
  type SnapshotFiles,
} from '@millrace/server'
import { type FileStore, fileStorage } from '@millrace/storage-file'
import { afterEach } from 'vitest'
import type { BackupListener } from './backup.ts'

/** So small that there are many files after a few appends. */
const SMALL = { segmentBytes: 1024 * 1024, reserveBytes: 1024, blockBytes: 700, blockFileBytes: 4000 }

const cleanups: (() => unknown)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** A folder that goes with the test. */
export function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-backup-'))
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Listens to nothing. */
export const SILENT: BackupListener = { started() {}, copied() {}, note() {} }

/** What every stream of a store holds. */
export type Contents = Readonly<Record<string, string>>

/** A running store. */
export class World {
  readonly dataDir: string
  /** Called before each read of a snapshot. */
  onRead: () => unknown = () => undefined
  readonly #store: FileStore
  readonly #handler: MillraceHandler
  #socket: AdminSocket | undefined

  private constructor(dataDir: string, store: FileStore) {
    this.dataDir = dataDir
    this.#store = store
    this.#handler = createHandler({ storage: store })
  }

  static async open(dataDir: string): Promise<World> {
    const world = new World(dataDir, await fileStorage({ dataDir, limits: SMALL }))
    cleanups.push(() => world.close())
    await world.listen()
    return world
  }

  async listen(): Promise<void> {
    this.#socket = await openAdminSocket({
      dataDir: this.dataDir,
      store: { beginSnapshot: async () => this.#watched(await this.#store.beginSnapshot()) },
      onError: () => undefined,
    })
  }

  /** As if the server went away; `listen` brings it back. */
  async hide(): Promise<void> {
    await this.#socket?.close()
  }

  async close(): Promise<void> {
    await this.hide()
    await this.#handler.close()
  }

  async append(path: string, text: string): Promise<void> {
    const url = `http://127.0.0.1/v1/stream/${path}`
    const headers = { 'content-type': 'text/plain' }
    await this.#handler.fetch(new Request(url, { method: 'PUT', headers }))
    const response = await this.#handler.fetch(new Request(url, { method: 'POST', headers, body: text }))
    if (!response.ok) throw new Error(`an append was answered ${response.status}`)
    // Everything in blocks: so that files grow, and change, from one backup to the next.
    await this.#store.checkpoint()
  }

  async remove(path: string): Promise<void> {
    const url = `http://127.0.0.1/v1/stream/${path}`
    await this.#handler.fetch(new Request(url, { method: 'DELETE' }))
    await this.#store.checkpoint()
  }

  async contents(): Promise<Contents> {
    const contents: Record<string, string> = {}
    for (const { path } of await this.#store.list('', undefined, 1000)) {
      const url = `http://127.0.0.1/v1/stream/${path}`
      contents[path] = await (await this.#handler.fetch(new Request(url))).text()
    }
    return contents
  }

  #watched(snapshot: SnapshotFiles): SnapshotFiles {
    return {
      storeId: snapshot.storeId,
      sequence: snapshot.sequence,
      atMs: snapshot.atMs,
      files: snapshot.files,
      read: async (name, from, to) => {
        await this.onRead()
        return snapshot.read(name, from, to)
      },
      end: () => snapshot.end(),
    }
  }
}
