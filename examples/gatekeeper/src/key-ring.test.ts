/** Keys are rotated while readers read, and outlive the app. */
import { decodeProtectedHeader } from 'jose'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { openDatabase } from './database.ts'
import { KeyRing } from './key-ring.ts'
import { startPostgres, type ThrowawayPostgres } from './throwaway-postgres.ts'
import { enter, follow, hasPostgres, startWorld, type World } from './world.fixture.ts'

let postgres: ThrowawayPostgres
let world: World | undefined

beforeAll(async () => {
  if (hasPostgres) postgres = await startPostgres()
})
afterAll(() => postgres?.stop())
afterEach(async () => {
  await world?.close()
  world = undefined
})

async function kidsOf({ appUrl }: World): Promise<readonly string[]> {
  const answer = await fetch(`${appUrl}/jwks.json`)
  const { keys } = (await answer.json()) as { readonly keys: readonly { readonly kid: string }[] }
  return keys.map(({ kid }) => kid)
}

const kidOf = (token: string): string => decodeProtectedHeader(token).kid ?? '?'

it.skipIf(!hasPostgres)(
  'after a rotation new tokens have the key that was published before, and old ones last as long as they say (needs postgres)',
  async () => {
    const here = await startWorld(postgres, 6)
    world = here
    const alice = await enter(here, '/signup')
    const published = await kidsOf(here)
    const old = await alice.token()
    const status = async (token: string): Promise<number> =>
      (await fetch(alice.inboxUrl, { headers: { authorization: `Bearer ${token}` } })).status

    await here.rotateKeys()
    const young = await alice.token()
    expect(kidOf(young)).not.toBe(kidOf(old))
    expect(published).toEqual(expect.arrayContaining([kidOf(old), kidOf(young)]))
    expect(await kidsOf(here)).toHaveLength(3)
    expect([await status(old), await status(young)]).toEqual([200, 200])
    while ((await status(old)) === 200) await new Promise((resolve) => setTimeout(resolve, 100))
    expect(await status(old)).toBe(401)
    expect(await status(await alice.token())).toBe(200)
  },
)

it.skipIf(!hasPostgres)('a reader goes on through a rotation (needs postgres)', async () => {
  const here = await startWorld(postgres, 2)
  world = here
  const alice = await enter(here, '/signup')
  await alice.send(alice.name, 'before')
  const reader = follow(here, alice, 'sse')
  await reader.until(() => reader.texts.length === 1)
  await here.rotateKeys()
  await alice.send(alice.name, 'after')
  await reader.until(() => new Set([...reader.tokens].map(kidOf)).size === 2)
  await alice.send(alice.name, 'with another key')
  await reader.until(() => reader.texts.length === 3)
  expect(reader.texts).toEqual(['before', 'after', 'with another key'])
  await reader.stop()
})

it.skipIf(!hasPostgres)(
  'many that find a key due rotate it once, and a restart keeps it (needs postgres)',
  async () => {
    const pools = await Promise.all([1, 2, 3].map(() => openDatabase(postgres.connection, console.error)))
    try {
      const longAgo = { rotateAfterSeconds: 3600, keepRetiredSeconds: 3600 }
      const rings = pools.map((pool) => new KeyRing(pool, longAgo))
      await Promise.all(rings.map((ring) => ring.current()))
      const before = (await rings[0]?.publicKeys())?.length ?? 0
      await pools[0]?.query(
        "UPDATE signing_keys SET since = now() - interval '2 hours' WHERE state = 'current'",
      )
      const kids = (await Promise.all(rings.map((ring) => ring.current()))).map(({ kid }) => kid)
      expect(new Set(kids).size).toBe(1)
      expect(await rings[1]?.publicKeys()).toHaveLength(before + 1)

      const [pool] = pools
      const later = pool && (await new KeyRing(pool, longAgo).current())
      expect(later?.kid).toBe(kids[0])
      // Once the last token of a retired key is over, it goes.
      await pool?.query("UPDATE signing_keys SET since = now() - interval '2 hours' WHERE state = 'retired'")
      await rings[0]?.rotate()
      expect(await rings[0]?.publicKeys()).toHaveLength(3)
    } finally {
      await Promise.all(pools.map((pool) => pool.end()))
    }
  },
)
