/** The reference server of the Durable Streams project as a process of its own; with a directory, on disk. */
import { DurableStreamTestServer } from '@durable-streams/server'
import { announce, stopWithParent } from './child-server.ts'

const dataDir = process.argv[2]
const server = new DurableStreamTestServer({
  port: 0,
  host: '127.0.0.1',
  ...(dataDir !== undefined && { dataDir }),
})
announce(await server.start())
stopWithParent()
