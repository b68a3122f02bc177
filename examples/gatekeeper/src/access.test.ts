/** Whoever reads a stream is its user, however the request is written; and what is secret stays out of logs. */
import { decodeJwt, decodeProtectedHeader } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ThrowawayPostgres } from './throwaway-postgres.ts'
import {
  ask,
  enter,
  hasPostgres,
  rawStatus,
  startTalkativePostgres,
  startWorld,
  type Visitor,
  type World,
} from './world.fixture.ts'

let postgres: ThrowawayPostgres
let world: World
let alice: Visitor
let bob: Visitor

beforeAll(async () => {
  if (!hasPostgres) return
  postgres = await startTalkativePostgres()
  world = await startWorld(postgres, 300)
  alice = await enter(world, '/signup')
  bob = await enter(world, '/signup')
  await alice.send(bob.name, 'for Bob only')
})
afterAll(async () => {
  await world?.close()
  await postgres?.stop()
})

const ROOT = '/v1/stream'

/** Ways to write the path of Bob's inbox, and of what is around it, for somebody whose own streams are at `own`. */
function spellings(own: string, other: string): readonly string[] {
  const inbox = `users/${other}/inbox`
  return [
    inbox,
    `users/${other}`,
    `users/${other}/`,
    `users/${other}/anything`,
    `users/${other.toUpperCase()}/inbox`,
    `USERS/${other}/inbox`,
    `users/${own}/../${other}/inbox`,
    `users/${own}/%2e%2e/${other}/inbox`,
    `users/${own}/%2E%2E/${other}/inbox`,
    `users/${own}/.%2e/${other}/inbox`,
    `users/${own}/..%2f${other}%2finbox`,
    `users/${own}%2f..%2f${other}/inbox`,
    `users/${own}/..\\${other}\\inbox`,
    `users/${own}/%252e%252e/${other}/inbox`,
    `users/./${other}/inbox`,
    `users//${other}/inbox`,
    `users%2f${other}%2finbox`,
    `users/${other}%2finbox`,
    `users/%${other.charCodeAt(0).toString(16)}${other.slice(1)}/inbox`,
    `users/*/inbox`,
    `users/**`,
    `x/../${inbox}`,
  ]
}

describe('the token of another user', () => {
  it.skipIf(!hasPostgres)('opens no spelling of a path, by no method (needs postgres)', async () => {
    const authorization = `Bearer ${await alice.token()}`
    const answers: string[] = []
    for (const path of spellings(alice.id, bob.id)) {
      for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'DELETE']) {
        const headers = { authorization, 'content-type': 'application/json' }
        const status = await rawStatus(world.streamsUrl, method, `${ROOT}/${path}`, headers)
        // A path below her own that is nothing but odd: she may look whether it is there.
        const isHerOwn =
          status === 404 && path.startsWith(`users/${alice.id}/`) && /^(GET|HEAD)$/.test(method)
        if (status !== 403 && status !== 400 && !isHerOwn) answers.push(`${method} ${path}: ${status}`)
      }
    }
    expect(answers).toEqual([])
  })

  it.skipIf(!hasPostgres)('follows nothing and forks nothing of Bob (needs postgres)', async () => {
    const authorization = `Bearer ${await alice.token()}`
    const inbox = `${ROOT}/users/${bob.id}/inbox`
    const status = (method: string, path: string, headers = {}): Promise<number> =>
      rawStatus(world.streamsUrl, method, path, { authorization, ...headers })
    for (const live of ['sse', 'long-poll']) {
      expect(await status('GET', `${inbox}?offset=-1&live=${live}`)).toBe(403)
    }
    const fork = { 'content-type': 'application/json', 'stream-forked-from': inbox }
    expect(await status('PUT', `${ROOT}/users/${alice.id}/copy`, fork)).toBe(403)
    expect(await status('PUT', `${ROOT}/copy`, fork)).toBe(403)

    const his = { authorization: `Bearer ${await bob.token()}` }
    const answer = await fetch(bob.inboxUrl, { headers: his })
    expect(await answer.json()).toMatchObject([{ from: alice.name, text: 'for Bob only' }])
  })

  it.skipIf(!hasPostgres)('only reads what is her own (needs postgres)', async () => {
    const authorization = `Bearer ${await alice.token()}`
    const headers = { authorization, 'content-type': 'application/json' }
    const own = new URL(alice.inboxUrl).pathname
    const statuses: number[] = []
    for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'DELETE']) {
      statuses.push(await rawStatus(world.streamsUrl, method, own, headers))
    }
    expect(statuses).toEqual([200, 200, 403, 403, 403])
    expect(await rawStatus(world.streamsUrl, 'GET', own, {})).toBe(401)
    expect(decodeJwt(await alice.token())).toMatchObject({
      sub: alice.id,
      iss: world.appUrl,
      streams: [{ paths: [`users/${alice.id}/**`], operations: ['read'] }],
    })
  })
})

describe('the app', () => {
  it.skipIf(!hasPostgres)('goes by its public names behind a proxy with TLS (needs postgres)', async () => {
    const urls = { app: 'https://app.example.com', streams: 'https://streams.example.com' }
    const behind = await startWorld(postgres, 300, urls)
    try {
      const origin = { origin: urls.app, 'content-type': 'application/json' }
      const body = JSON.stringify({ name: alice.name, password: alice.password })
      const own = await ask(behind, 'POST', '/login', { name: alice.name, password: alice.password })
      const entered = await fetch(`${behind.appUrl}/login`, { method: 'POST', headers: origin, body })
      expect([own.status, entered.status]).toEqual([403, 200])
      expect(await entered.json()).toMatchObject({
        inboxUrl: `${urls.streams}/v1/stream/users/${alice.id}/inbox`,
      })
      const setCookie = entered.headers.get('set-cookie') ?? ''
      expect(setCookie).toMatch(/; HttpOnly; SameSite=Lax; Secure$/)

      const cookie = setCookie.split(';')[0] ?? ''
      const minted = await fetch(`${behind.appUrl}/token`, { method: 'POST', headers: { cookie, ...origin } })
      const { token } = (await minted.json()) as { readonly token: string }
      expect(decodeJwt(token).iss).toBe(urls.app)
      const path = new URL(alice.inboxUrl).pathname
      const asked = { authorization: `Bearer ${token}`, host: 'streams.example.com', origin: urls.app }
      expect(await rawStatus(behind.streamsUrl, 'GET', path, asked)).toBe(200)
      // Keys are the same, but a token counts where it was made for.
      expect(await rawStatus(world.streamsUrl, 'GET', path, { authorization: `Bearer ${token}` })).toBe(401)
    } finally {
      await behind.close()
    }
  })

  it.skipIf(!hasPostgres)('gives the page a cookie that scripts cannot see (needs postgres)', async () => {
    const answer = await ask(world, 'POST', '/login', { name: alice.name, password: alice.password })
    const cookie = answer.headers.get('set-cookie') ?? ''
    expect(cookie).toMatch(/^gatekeeper_session=[\w-]{43}; Max-Age=604800; Path=\/; HttpOnly; SameSite=Lax$/)
    expect(answer.headers.get('cache-control')).toBe('no-store')
  })

  it.skipIf(!hasPostgres)('tells nobody which of name and password is wrong (needs postgres)', async () => {
    const wrong = await ask(world, 'POST', '/login', { name: alice.name, password: 'wrong password' })
    const unknown = await ask(world, 'POST', '/login', { name: 'nobody at all', password: 'wrong password' })
    expect([wrong.status, unknown.status]).toEqual([401, 401])
    expect(await wrong.text()).toBe(await unknown.text())
    const taken = await ask(world, 'POST', '/signup', { name: alice.name, password: 'another password' })
    expect(taken.status).toBe(409)
  })

  it.skipIf(!hasPostgres)(
    'gives tokens for a session only, and not to other pages (needs postgres)',
    async () => {
      expect((await ask(world, 'POST', '/token')).status).toBe(401)
      expect((await ask(world, 'POST', '/token', undefined, 'gatekeeper_session=made-up')).status).toBe(401)
      for (const path of ['/token', '/messages', '/logout', '/login']) {
        const answer = await fetch(`${world.appUrl}${path}`, {
          method: 'POST',
          headers: { cookie: alice.cookie, origin: 'http://127.0.0.1:1' },
        })
        expect(answer.status).toBe(403)
      }
      // What a form of another page could send without being asked for permission.
      const form = { cookie: alice.cookie, 'content-type': 'text/plain' }
      const sent = await fetch(`${world.appUrl}/messages`, { method: 'POST', headers: form, body: '{}' })
      expect(sent.status).toBe(415)
      expect((await alice.ask('POST', '/token')).status).toBe(200)
    },
  )

  it.skipIf(!hasPostgres)('takes names that look like SQL for names (needs postgres)', async () => {
    const names = [
      "'; DROP TABLE users; --",
      `" OR 1=1 --`,
      "' OR '1'='1",
      `${alice.name}' --`,
      '$1); DELETE FROM sessions; --',
      '%',
      '_',
      '../../users',
      '<script>alert(1)</script>',
    ]
    for (const name of names) {
      expect((await ask(world, 'POST', '/login', { name, password: "' OR '1'='1" })).status).toBe(401)
      const mallory = await enter(world, '/signup', name)
      expect(mallory.inboxUrl).toMatch(/\/users\/[0-9a-f-]{36}\/inbox$/)
      await mallory.send(name, name)
      const headers = { authorization: `Bearer ${await mallory.token()}` }
      const inbox = await (await fetch(mallory.inboxUrl, { headers })).json()
      expect(inbox).toMatchObject([{ from: name, text: name }])
      const toBob = new URL(bob.inboxUrl).pathname
      expect(await rawStatus(world.streamsUrl, 'GET', toBob, headers)).toBe(403)
    }
    for (const name of ['', 'a\0b', '\ud800', 'x'.repeat(65), 7, null, { toString: 'x' }]) {
      expect((await ask(world, 'POST', '/signup', { name, password: 'long enough' })).status).toBe(400)
    }
    expect((await ask(world, 'POST', '/token', undefined, `gatekeeper_session=' OR '1'='1`)).status).toBe(401)
    expect((await alice.ask('POST', '/token')).status).toBe(200)
    expect(world.errors).toEqual([])
  })

  it.skipIf(!hasPostgres)('publishes nothing of its keys but public halves (needs postgres)', async () => {
    const text = await (await fetch(`${world.appUrl}/jwks.json`)).text()
    const { keys } = JSON.parse(text) as { readonly keys: readonly object[] }
    expect(keys).toHaveLength(2)
    for (const key of keys) {
      expect(Object.keys(key).sort()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y'])
    }
  })
})

it.skipIf(!hasPostgres)('no password, cookie or token is in a log (needs postgres)', async () => {
  const carol = await enter(world, '/signup')
  await carol.send(carol.name, 'hello')
  const token = await carol.token()
  const read = await fetch(`${carol.inboxUrl}?offset=-1`, { headers: { authorization: `Bearer ${token}` } })
  expect(read.status).toBe(200)
  // And what goes wrong.
  await fetch(`${carol.inboxUrl}?offset=-1`, { headers: { authorization: `Bearer ${token}x` } })
  await ask(world, 'POST', '/login', { name: carol.name, password: `${carol.password}x` })
  const cut = `{"name":"carol","password":"${carol.password}"`
  const headers = { 'content-type': 'application/json' }
  expect((await fetch(`${world.appUrl}/login`, { method: 'POST', headers, body: cut })).status).toBe(400)
  await ask(world, 'POST', `/login?password=${encodeURIComponent(carol.password)}`, {})

  const logs = [...world.lines, postgres.log()].join('\n')
  expect(logs).toContain('app: POST /login 401')
  expect(logs).toContain(`streams: GET ${new URL(carol.inboxUrl).pathname} 401`)
  expect(logs).toContain('SELECT id, name, password_hash FROM users')
  const [, cookie = '?'] = carol.cookie.split('=')
  const signature = token.split('.').at(-1) ?? '?'
  // However it is escaped, the end of the password stays as it is.
  for (const secret of [carol.password, carol.password.slice(-36), cookie, token, signature]) {
    expect(logs.includes(secret)).toBe(false)
  }
})

it.skipIf(!hasPostgres)('what is in the database opens nothing (needs postgres)', async () => {
  const { Pool } = await import('pg')
  const pool = new Pool(postgres.connection)
  try {
    const { rows } = await pool.query<Readonly<Record<string, unknown>>>(
      "SELECT users.*, encode(cookie_hash, 'hex') AS hash FROM users, sessions WHERE user_id = id AND id = $1",
      [alice.id],
    )
    const stored = JSON.stringify(rows)
    expect(stored).toContain('scrypt$15$8$3$')
    expect(stored).toMatch(/"hash":"[0-9a-f]{64}"/)
    const [, cookie = '?'] = alice.cookie.split('=')
    for (const secret of [alice.password.slice(-36), cookie, Buffer.from(cookie).toString('hex')]) {
      expect(stored.includes(secret)).toBe(false)
    }
  } finally {
    await pool.end()
  }
})

it.skipIf(!hasPostgres)('a token names its key, the one that signs now (needs postgres)', async () => {
  const { keys } = (await (await fetch(`${world.appUrl}/jwks.json`)).json()) as {
    readonly keys: readonly { readonly kid: string }[]
  }
  const { kid, alg } = decodeProtectedHeader(await alice.token())
  expect(alg).toBe('ES256')
  expect(keys.map((key) => key.kid)).toContain(kid)
})
