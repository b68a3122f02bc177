/** Readers with tokens that are over after seconds: they go on, unless nobody gives them a new one. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { LoggedOut } from './page/follow-inbox.ts'
import type { ThrowawayPostgres } from './throwaway-postgres.ts'
import {
  enter,
  type Following,
  follow,
  hasPostgres,
  startTalkativePostgres,
  startWorld,
  type World,
} from './world.fixture.ts'

const TOKEN_SECONDS = 2

let postgres: ThrowawayPostgres
let world: World
const followed: Following[] = []

beforeAll(async () => {
  if (hasPostgres) postgres = await startTalkativePostgres()
})
afterAll(() => postgres?.stop())
beforeEach(async () => {
  if (hasPostgres) world = await startWorld(postgres, TOKEN_SECONDS)
})
afterEach(async () => {
  await Promise.allSettled(followed.splice(0).map((one) => one.stop()))
  await world?.close()
})

function following(...args: Parameters<typeof follow>): Following {
  const one = follow(...args)
  followed.push(one)
  return one
}

describe.each(['sse', 'long-poll'] as const)('by %s', (live) => {
  it.skipIf(!hasPostgres)('each follows an inbox of their own, in order (needs postgres)', async () => {
    const [alice, bob] = [await enter(world, '/signup'), await enter(world, '/signup')]
    await alice.send(bob.name, 'before')
    const [hers, his] = [following(world, alice, live), following(world, bob, live)]
    await his.until(() => his.texts.length === 1)
    for (const n of [1, 2, 3]) {
      await alice.send(bob.name, `to Bob ${n}`)
      await bob.send(alice.name, `to Alice ${n}`)
    }
    await his.until(() => his.texts.length === 4)
    await hers.until(() => hers.texts.length === 3)

    expect(his.texts).toEqual(['before', 'to Bob 1', 'to Bob 2', 'to Bob 3'])
    expect(hers.texts).toEqual(['to Alice 1', 'to Alice 2', 'to Alice 3'])
  })

  it.skipIf(!hasPostgres)(
    'goes on with one token after the other, and misses and repeats nothing (needs postgres)',
    async () => {
      const alice = await enter(world, '/signup')
      const reader = following(world, alice, live)
      const sent: string[] = []
      // All the time, so that messages come before, while and after each token is over.
      while (reader.tokens.size < 4) {
        sent.push(`message ${sent.length}`)
        await alice.send(alice.name, sent.at(-1) ?? '')
      }
      await reader.until(() => reader.texts.length >= sent.length)
      expect(reader.texts).toEqual(sent)
    },
  )

  it.skipIf(!hasPostgres)('ends with the last token after a log-out (needs postgres)', async () => {
    const alice = await enter(world, '/signup')
    await alice.send(alice.name, 'first')
    const reader = following(world, alice, live)
    await reader.until(() => reader.texts.length === 1)
    expect((await alice.ask('POST', '/logout')).status).toBe(204)
    await expect(reader.ended).rejects.toBeInstanceOf(LoggedOut)
    expect((await alice.ask('POST', '/token')).status).toBe(401)

    const again = await enter(world, '/login', alice.name, alice.password)
    await again.send(alice.name, 'second')
    const later = following(world, again, live)
    await later.until(() => later.texts.length === 2)
    expect(later.texts).toEqual(['first', 'second'])
  })

  it.skipIf(!hasPostgres)('ends with the account (needs postgres)', async () => {
    const [alice, bob] = [await enter(world, '/signup'), await enter(world, '/signup')]
    await bob.send(alice.name, 'first')
    const reader = following(world, alice, live)
    await reader.until(() => reader.texts.length === 1)
    expect((await alice.ask('DELETE', '/account')).status).toBe(204)

    await expect(reader.ended).rejects.toThrow()
    expect((await alice.ask('POST', '/token')).status).toBe(401)
    const late = await bob.ask('POST', '/messages', { id: crypto.randomUUID(), to: alice.name, text: 'late' })
    expect(late.status).toBe(404)
    await expect(enter(world, '/login', alice.name, alice.password)).rejects.toThrow('401')
  })
})
