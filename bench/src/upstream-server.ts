/** The reference server of the Durable Streams project, in memory, as a process of its own. */
import { DurableStreamTestServer } from '@durable-streams/server'
import { announce, stopWithParent } from './child-server.ts'

const server = new DurableStreamTestServer({ port: 0, host: '127.0.0.1' })
announce(await server.start())
stopWithParent()
