/** The servers that the client is tested against: ours, and the one the protocol's project publishes. */
import { DurableStreamTestServer } from '@durable-streams/server'
import { createServer, memoryStorage } from '@millrace/server'

/** A running server. */
export interface ServerUnderTest {
  /** Origin without a trailing slash. */
  readonly url: string
  readonly port: number
  /** How many readers wait for what comes next; undefined where the server does not say. */
  readers(): number | undefined
  close(): Promise<void>
}

/**
 * Where the published server does something else, as far as a client can tell. A test asserts what each of them does,
 * so that a release that changes one of these fails here.
 */
export interface Behaviour {
  /** A long catch-up comes in several pages, not in one answer. */
  readonly pages: boolean
  /** A deletion ends the event streams of readers; without it the request fails and its connection stays open. */
  readonly endsEventStreams: boolean
  /** Text in an event keeps the space it begins with; without it every reader of event streams takes one off. */
  readonly keepsFirstSpace: boolean
  /** A close under a number that was used for something else is not answered as if it had closed the stream. */
  readonly tellsFalseCloses: boolean
}

/** One server and what to expect of it. */
export interface ServerKind extends Behaviour {
  readonly name: string
  start(): Promise<ServerUnderTest>
}

/** Both with an empty memory store on loopback, and with a short time-out for long-polls. */
export const SERVERS: readonly ServerKind[] = [
  {
    name: 'Millrace',
    start: startMillrace,
    pages: true,
    endsEventStreams: true,
    keepsFirstSpace: true,
    tellsFalseCloses: true,
  },
  {
    name: 'the published server',
    start: startPublished,
    pages: false,
    endsEventStreams: false,
    keepsFirstSpace: false,
    tellsFalseCloses: false,
  },
]

const LONG_POLL_MS = 300

async function startMillrace(): Promise<ServerUnderTest> {
  // Small pages, so that catching up takes several.
  const limits = { chunkBytes: 2000 }
  const server = await createServer({
    storage: memoryStorage(),
    port: 0,
    longPollTimeoutMs: LONG_POLL_MS,
    shutdownGraceMs: 500,
    limits,
  })
  const { url, port } = server
  return { url, port, readers: () => server.statistics()?.readers, close: () => server.close() }
}

async function startPublished(): Promise<ServerUnderTest> {
  const server = new DurableStreamTestServer({ port: 0, host: '127.0.0.1', longPollTimeout: LONG_POLL_MS })
  const url = await server.start()
  return { url, port: Number(new URL(url).port), readers: () => undefined, close: () => server.stop() }
}
