/**
 * A server process that can be asked, by IPC, how much heap is left after garbage collection and how many
 * readers are waiting. Started with --expose-gc; the first argument names the server to embed.
 */
import { DurableStreamTestServer } from '@durable-streams/server'
import { stopWithParent } from './child-server.ts'

/** What the parent may ask; an answer carries the question, so that nothing can be mixed up. */
export type LeakQuestion = 'gc' | 'waiters'

export interface EmbeddedServer {
  readonly url: string
  /** Readers that wait for data, or undefined when the server does not tell. */
  waiters(): number | undefined
}

interface MillraceModule {
  memoryStorage(): unknown
  createServer(options: Readonly<Record<string, unknown>>): Promise<MillraceServer>
}

interface MillraceServer {
  readonly url: string
  statistics(): { readonly waiters: number }
}

const LONG_POLL_TIMEOUT_MS = 200
const COLLECTIONS = 4

function isMillrace(loaded: unknown): loaded is MillraceModule {
  return (
    typeof loaded === 'object' && loaded !== null && 'createServer' in loaded && 'memoryStorage' in loaded
  )
}

async function startMillrace(): Promise<EmbeddedServer> {
  const name = '@millrace/server'
  const loaded: unknown = await import(name)
  if (!isMillrace(loaded)) throw new Error(`${name} exports no createServer or no memoryStorage`)
  const server = await loaded.createServer({
    storage: loaded.memoryStorage(),
    host: '127.0.0.1',
    port: 0,
    longPollTimeoutMs: LONG_POLL_TIMEOUT_MS,
  })
  return { url: server.url, waiters: () => server.statistics().waiters }
}

async function startUpstream(): Promise<EmbeddedServer> {
  const server = new DurableStreamTestServer({
    port: 0,
    host: '127.0.0.1',
    longPollTimeout: LONG_POLL_TIMEOUT_MS,
  })
  return { url: await server.start(), waiters: () => undefined }
}

async function heapAfterCollection(): Promise<number> {
  for (let turn = 0; turn < COLLECTIONS; turn += 1) {
    globalThis.gc?.()
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  return process.memoryUsage().heapUsed
}

const server = process.argv[2] === 'upstream' ? await startUpstream() : await startMillrace()

process.on('message', (question) => {
  if (question === 'waiters') {
    process.send?.({ question, value: server.waiters() ?? null })
  } else if (question === 'gc') {
    heapAfterCollection().then((value) => process.send?.({ question, value }))
  }
})
process.send?.({ question: 'listening', url: server.url })
process.on('disconnect', () => process.exit(0))
stopWithParent()
