/** A server whose store has small limits, so that everything a store does happens within a second. */
import { createServer } from '@millrace/server'
import { type Durability, fileStorage } from '@millrace/storage-file'

const [, , dataDir = '', durability = 'file-durable'] = process.argv
const server = await createServer({
  port: 0,
  storage: fileStorage({
    dataDir,
    durability: durability as Durability,
    limits: {
      segmentBytes: 256 * 1024,
      reserveBytes: 4096,
      checkpointRecords: 40,
      checkpointAfterMs: 100,
      blockBytes: 4096,
      blockFileBytes: 20_000,
      syncAfterMs: 20,
    },
  }),
})
process.on('SIGTERM', () => {
  server.close().then(() => process.exit(0))
})
console.log(`${process.pid} ${server.url}`)
