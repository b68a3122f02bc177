/**
 * A server process that can be asked, by IPC, how much heap is left after garbage collection and how many
 * readers are waiting. Started with --expose-gc; the first argument names the server to embed.
 */
import { DurableStreamTestServer } from '@durable-streams/server'
import { createServer, memoryStorage } from '@millrace/server'
import { stopWithParent } from './child-server.ts'

/** What the parent may ask; an answer carries the question, so that nothing can be mixed up. */
export type LeakQuestion = 'heap' | 'statistics'

/** Numbers that a server gives about itself, such as open readers; empty when it gives none. */
export type ServerStatistics = Readonly<Record<string, number>>

interface EmbeddedServer {
  readonly url: string
  statistics(): ServerStatistics
}

const LONG_POLL_TIMEOUT_MS = 200
const COLLECTIONS = 4

async function startMillrace(): Promise<EmbeddedServer> {
  const server = await createServer({
    storage: memoryStorage(),
    host: '127.0.0.1',
    port: 0,
    longPollTimeoutMs: LONG_POLL_TIMEOUT_MS,
  })
  return { url: server.url, statistics: () => ({ ...server.statistics() }) }
}

async function startUpstream(): Promise<EmbeddedServer> {
  const server = new DurableStreamTestServer({
    port: 0,
    host: '127.0.0.1',
    longPollTimeout: LONG_POLL_TIMEOUT_MS,
  })
  return { url: await server.start(), statistics: () => ({}) }
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
  if (question === 'statistics') {
    process.send?.({ question, value: server.statistics() })
  } else if (question === 'heap') {
    heapAfterCollection().then((heap) => process.send?.({ question, value: { heap } }))
  }
})
process.send?.({ question: 'listening', url: server.url })
process.on('disconnect', () => process.exit(0))
stopWithParent()
