/** Deletions and forks through crashes at every effect: what was deleted stays deleted, and a source is counted once. */
import { describe, expect, it } from 'vitest'
import { crashEverywhere, type FaultyServer, LOST } from './faulty-server.fixture.ts'

const TEXT = { 'content-type': 'text/plain' }
const FORK = { headers: { ...TEXT, 'stream-forked-from': '/v1/stream/source' }, body: 'own' }
const BYTES = 'x'.repeat(900)

async function status(server: FaultyServer, method: string, path: string): Promise<number> {
  return (await server.send(method, path)).status
}

/** Keys of streams, their bytes and their due times. */
function storedKeys(server: FaultyServer): readonly string[] {
  return ['s/', 'i/', 'b/', 'd/'].flatMap((prefix) =>
    server.home.range(prefix, `${prefix}~`, 100).map(([key]) => key),
  )
}

describe.each(['power', 'process'] as const)('through a %s crash', (kind) => {
  it('an acknowledged DELETE stays, and a new stream on its path has nothing of the old one', async () => {
    const acknowledged = new Set<string>()
    const crashes = await crashEverywhere(
      { kind },
      async (server) => {
        acknowledged.clear()
        await server.send('PUT', 'a', { headers: TEXT, body: BYTES })
        await server.checkpoint()
        await server.send('PUT', 'b', { headers: TEXT, body: BYTES })
        await server.send('POST', 'a', { headers: TEXT, body: 'more' })
      },
      async (server) => {
        for (const path of ['a', 'b']) {
          const answer = await server.ask('DELETE', path)
          if (answer === LOST) return
          expect(answer.status).toBe(204)
          acknowledged.add(path)
        }
        await server.checkpoint()
      },
      async (server) => {
        for (const path of ['a', 'b']) {
          const found = await server.send('GET', `${path}?offset=-1`)
          expect([200, 404]).toContain(found.status)
          if (acknowledged.has(path)) expect(found.status).toBe(404)
          if (found.status === 200) expect(found.text.startsWith(BYTES)).toBe(true)
          if (found.status === 200) expect(await status(server, 'DELETE', path)).toBe(204)
          const again = await server.send('PUT', path, { headers: TEXT, body: 'new' })
          expect(again.status).toBe(201)
          expect(await server.textOf(path)).toBe('new')
        }
      },
    )

    expect(crashes).toBeGreaterThan(5)
  }, 60_000)

  it('a source is counted once, however often its fork is asked for', async () => {
    const crashes = await crashEverywhere(
      { kind },
      async (server) => {
        await server.send('PUT', 'source', { headers: TEXT, body: BYTES })
        await server.checkpoint()
      },
      async (server) => {
        for (let attempt = 0; attempt < 3; attempt++) {
          const answer = await server.ask('PUT', 'fork', FORK)
          if (answer === LOST) return
          expect(answer.status).toBe(attempt === 0 ? 201 : 200)
        }
        await server.checkpoint()
      },
      async (server) => {
        const again = [await server.send('PUT', 'fork', FORK), await server.send('PUT', 'fork', FORK)]
        expect([200, 201]).toContain(again[0]?.status)
        expect(again[1]?.status).toBe(200)
        expect(await server.textOf('fork')).toBe(`${BYTES}own`)
        // Deleted, the source is kept for the one fork; when that goes, nothing is left of either.
        expect(await status(server, 'DELETE', 'source')).toBe(204)
        expect(await status(server, 'GET', 'source')).toBe(410)
        expect(await server.textOf('fork')).toBe(`${BYTES}own`)
        expect(await status(server, 'DELETE', 'fork')).toBe(204)
        expect(await status(server, 'GET', 'source')).toBe(404)
        await server.checkpoint()
        expect(storedKeys(server)).toEqual([])
        expect(await status(server, 'DELETE', 'source')).toBe(404)
      },
    )

    expect(crashes).toBeGreaterThan(5)
  }, 60_000)

  it('a fork that is deleted releases its source once', async () => {
    let isAcknowledged = false
    const crashes = await crashEverywhere(
      { kind },
      async (server) => {
        isAcknowledged = false
        await server.send('PUT', 'source', { headers: TEXT, body: BYTES })
        for (const fork of ['fork', 'other']) await server.send('PUT', fork, FORK)
        await server.send('DELETE', 'source')
      },
      async (server) => {
        const answer = await server.ask('DELETE', 'fork')
        isAcknowledged = answer !== LOST && answer.status === 204
        await server.checkpoint()
      },
      async (server) => {
        const found = await status(server, 'DELETE', 'fork')
        expect(isAcknowledged ? [404] : [204, 404]).toContain(found)
        // Released twice, the source would be gone under the other fork.
        expect(await server.textOf('other')).toBe(`${BYTES}own`)
        expect(await status(server, 'GET', 'source')).toBe(410)
        expect(await status(server, 'DELETE', 'other')).toBe(204)
        expect(await status(server, 'GET', 'source')).toBe(404)
        await server.checkpoint()
        expect(storedKeys(server)).toEqual([])
      },
    )

    expect(crashes).toBeGreaterThan(5)
  }, 60_000)
})
