/** Data directories with a history: streams of all kinds, checkpoints, restarts, and a journal that was not applied. */
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createHandler, type MillraceHandler } from '@millrace/server'
import { fileStorage } from '@millrace/storage-file'

/** A server without a socket on a data directory. */
export interface DirectoryServer {
  send(method: string, path: string, headers?: Record<string, string>, body?: string): Promise<Response>
  close(): Promise<void>
}

type Limits = NonNullable<Parameters<typeof fileStorage>[0]['limits']>

/** Many small blocks in several files. */
export const TINY: Limits = {
  segmentBytes: 64 * 1024,
  reserveBytes: 1024,
  blockBytes: 1024,
  blockFileBytes: 16 * 1024,
  checkpointRecords: 40,
  transactionChanges: 8,
}
/** Everything stays in the journal. */
const NO_CHECKPOINT: Limits = { segmentBytes: 256 * 1024, reserveBytes: 1024, checkpointAfterMs: 3_600_000 }

const TEXT = { 'content-type': 'text/plain' }
const ORIGIN = 'http://localhost'

/** Serves a directory in this process. */
export async function serveDirectory(dataDir: string, limits: Limits = TINY): Promise<DirectoryServer> {
  const handler: MillraceHandler = createHandler({
    storage: fileStorage({ dataDir, limits }),
    onError: () => undefined,
  })
  await handler.ready
  return {
    send: async (method, path, headers = {}, body) => {
      const url = `${ORIGIN}/v1/stream/${path}`
      return handler.fetch(new Request(url, { method, headers, ...(body !== undefined && { body }) }))
    },
    close: () => handler.close(),
  }
}

/** Creates, appends, forks, closes, deletes and lets expire, with checkpoints and a clean restart in between. */
async function useHeavily(server: DirectoryServer, round: number): Promise<void> {
  const send: DirectoryServer['send'] = async (...request) => {
    const answer = await server.send(...request)
    if (answer.status >= 500) throw new Error(`${request.join(' ')} was answered ${answer.status}`)
    return answer
  }
  for (let i = 0; i < 12; i++) {
    await send('PUT', `s${i}`, i % 3 === 0 ? { 'content-type': 'application/json' } : TEXT)
    for (let n = 0; n < 6; n++) {
      const body =
        i % 3 === 0
          ? JSON.stringify({ round, n, pad: 'j'.repeat(50 * i) })
          : `${round}.${n} ${'t'.repeat(90 * i)}\n`
      const producer = { 'producer-id': 'p', 'producer-epoch': String(round), 'producer-seq': String(n) }
      const type = i % 3 === 0 ? { 'content-type': 'application/json' } : TEXT
      await send('POST', `s${i}`, { ...type, ...(i % 2 === 0 && producer) }, body)
    }
  }
  await send('PUT', `fork${round}`, { 'stream-forked-from': '/v1/stream/s1' })
  await send('POST', `fork${round}`, TEXT, 'of its own')
  await send('PUT', `grandchild${round}`, { 'stream-forked-from': `/v1/stream/fork${round}` })
  await send('DELETE', `fork${round}`)
  await send('PUT', `window${round}`, { ...TEXT, 'stream-ttl': '3600' }, 'slides')
  await send('GET', `window${round}`)
  await send('PUT', `brief${round}`, { ...TEXT, 'stream-ttl': '0' }, 'gone at once')
  await send('PUT', `deleted${round}`, TEXT, 'x'.repeat(3000))
  await send('DELETE', `deleted${round}`)
  await send('DELETE', 's10')
  await send('POST', 's11', { 'stream-closed': 'true' })
}

/** Where the directories of a test file are made. */
export interface UsedDirectories {
  /** Stopped as it should be. */
  readonly stopped: string
  /** Copied while the server ran, as a kill would have left it: the last round is in the journal only. */
  readonly killed: string
  /** A copy that may be damaged; taken away with the others. */
  copy(of: 'stopped' | 'killed'): string
  remove(): void
}

/** Makes both. */
export async function makeUsedDirectories(): Promise<UsedDirectories> {
  const root = mkdtempSync(join(tmpdir(), 'millrace-used-'))
  const [stopped, killed] = [join(root, 'stopped'), join(root, 'killed')]
  for (let round = 0; round < 3; round++) {
    const server = await serveDirectory(stopped)
    await useHeavily(server, round)
    await server.close()
  }
  cpSync(stopped, join(root, 'running'), { recursive: true })
  const server = await serveDirectory(join(root, 'running'), NO_CHECKPOINT)
  await useHeavily(server, 3)
  cpSync(join(root, 'running'), killed, { recursive: true })
  await server.close()
  let copies = 0
  const copy: UsedDirectories['copy'] = (of) => {
    const target = join(root, `copy-${copies++}`)
    cpSync(of === 'stopped' ? stopped : killed, target, { recursive: true })
    return target
  }
  return { stopped, killed, copy, remove: () => rmSync(root, { recursive: true, force: true }) }
}
