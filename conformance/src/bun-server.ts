/**
 * Run by Bun, not by Node: serves the fetch handler with `Bun.serve` and prints its URL.
 * Arguments: the storage's name and the long-poll time-out in milliseconds.
 */
import { createHandler, memoryStorage } from '@millrace/server'

interface BunServer {
  readonly port: number
  stop(closeConnections: boolean): Promise<void>
}

declare const Bun: {
  serve(options: {
    readonly hostname: string
    readonly port: number
    readonly idleTimeout: number
    readonly fetch: (request: Request) => Promise<Response>
  }): BunServer
}

const [storageName, longPollTimeoutMs] = process.argv.slice(2)

const handler = createHandler({
  storage: openStorage(storageName),
  longPollTimeoutMs: Number(longPollTimeoutMs),
})

const server = Bun.serve({
  hostname: '127.0.0.1',
  port: 0,
  // Seconds, and the most that Bun allows: a quiet SSE connection must not be cut.
  idleTimeout: 255,
  fetch: (request) => handler.fetch(request),
})

console.log(`http://127.0.0.1:${server.port}`)

process.once('SIGTERM', () => void stop())

async function stop(): Promise<void> {
  await server.stop(true)
  await handler.close()
  process.exit(0)
}

function openStorage(name: string | undefined): ReturnType<typeof memoryStorage> {
  if (name === 'memory') return memoryStorage()
  throw new Error(`unknown storage: ${name}`)
}
