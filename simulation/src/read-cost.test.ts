import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { FaultyServer } from './faulty-server.fixture.ts'

const MIB = 1024 * 1024
const STREAM_BYTES = 64 * MIB
const BINARY = { 'content-type': 'application/octet-stream' }
/** A read ends and begins within blocks of 64 KiB, each with a head of its own. */
const BLOCK_SHARE = 0.25

describe('a stream of 64 MiB', () => {
  let server: FaultyServer
  let readBytes = 0
  let blockReads = 0

  /** Bytes that the disk was asked for meanwhile. */
  async function costOf<T>(work: () => Promise<T>): Promise<{ readonly result: T; readonly bytes: number }> {
    readBytes = 0
    const result = await work()
    return { result, bytes: readBytes }
  }

  beforeAll(async () => {
    server = await FaultyServer.started({
      limits: {
        segmentBytes: 8 * MIB,
        blockBytes: 64 * 1024,
        blockFileBytes: 16 * MIB,
        checkpointReserveBytes: MIB,
        checkpointBytes: 4 * MIB,
        maxTailBytes: 16 * MIB,
        transactionChanges: 400,
      },
    })
    await server.send('PUT', 'a', { headers: BINARY })
    for (let n = 0; n < STREAM_BYTES / MIB; n++) {
      await server.send('POST', 'a', { headers: BINARY, body: Buffer.alloc(MIB, n) })
    }
    await server.restart()
    server.onStep = ({ kind, name, length }) => {
      if (kind === 'read') readBytes += length ?? 0
      if (kind === 'read' && name.startsWith('blocks/')) blockReads++
    }
  }, 120_000)

  afterAll(() => server.close())

  it.each(['', '&live=long-poll'])('its last 1 MiB costs reads of 1 MiB%s', async (live) => {
    const offset = `0000000000000000_${String(STREAM_BYTES - MIB).padStart(16, '0')}`
    const { result, bytes } = await costOf(() => server.open(`a?offset=${offset}${live}`))
    const body = Buffer.from(await result.arrayBuffer())

    expect([result.status, result.headers.get('stream-up-to-date')]).toEqual([200, 'true'])
    expect(body.equals(Buffer.alloc(MIB, STREAM_BYTES / MIB - 1))).toBe(true)
    expect(bytes).toBeGreaterThanOrEqual(MIB)
    expect(bytes).toBeLessThan(MIB * (1 + BLOCK_SHARE))
  })

  it('HEAD, an append and a reader that waits at its tail read nothing', async () => {
    const { result, bytes } = await costOf(async () => {
      const head = await server.send('HEAD', 'a')
      const waiting = server.send('GET', `a?offset=${head.headers.get('stream-next-offset')}&live=long-poll`)
      await server.send('POST', 'a', { headers: BINARY, body: 'more' })
      return waiting
    })

    expect([result.status, result.text]).toEqual([200, 'more'])
    expect(bytes).toBe(0)
  })

  it('a start reads the journal and not one block', async () => {
    blockReads = 0
    const { bytes } = await costOf(() => server.restart())

    expect(blockReads).toBe(0)
    expect(bytes).toBeLessThan(3 * 8 * MIB)
  }, 60_000)
})
