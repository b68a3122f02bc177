/** Live readers end with their credentials; keys and rules change while the server runs. */
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { createApiKey } from './auth-api-keys.ts'
import { RemoteKeySet } from './auth-key-set.ts'
import type { AuthenticationOptions } from './auth-options.ts'
import {
  bearer,
  inSeconds,
  type KeyServer,
  makeIssuerKey,
  SECRET,
  secretToken,
  serveKeys,
} from './auth-world.fixture.ts'
import { openSse, type SendHeaders, startTestServer, type TestServer } from './test-server.fixture.ts'

const TARGET = '/v1/stream/a'
const undo: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const one of undo.splice(0).reverse()) await one()
})

async function start(authentication: AuthenticationOptions): Promise<TestServer> {
  const server = await startTestServer({
    authentication,
    longPollTimeoutMs: 600_000,
    sseReconnectIntervalMs: 0,
    sseHeartbeatIntervalMs: 0,
  })
  undo.push(() => server.close())
  return server
}

async function folder(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'millrace-auth-'))
  undo.push(() => rm(made, { recursive: true, force: true }))
  return made
}

/** As an operator does it: the file is replaced as a whole. */
async function replace(path: string, content: object): Promise<void> {
  await writeFile(`${path}.new`, JSON.stringify(content))
  await rename(`${path}.new`, path)
}

async function statusOf(server: TestServer, headers: SendHeaders): Promise<number> {
  return (await server.request('GET', TARGET, { headers })).status
}

/** Asks until the answer is this one. */
async function until(server: TestServer, headers: SendHeaders, status: number): Promise<void> {
  while ((await statusOf(server, headers)) !== status) await new Promise((resolve) => setTimeout(resolve, 20))
}

describe('when a token expires', () => {
  async function world(): Promise<{ readonly server: TestServer; readonly short: SendHeaders }> {
    const server = await start({ jwt: { keys: { secret: SECRET }, leewaySeconds: 0 } })
    const admin = bearer(await secretToken({ scope: '*:**' }))
    await server.request('PUT', TARGET, { headers: { ...admin, 'content-type': 'text/plain' }, body: 'abc' })
    return { server, short: bearer(await secretToken({ scope: 'read:a', exp: inSeconds(5) })) }
  }

  it('its SSE response ends, complete, after a control event', async () => {
    const { server, short } = await world()
    const reader = await openSse(`${server.url}${TARGET}?offset=-1&live=sse`, short)
    const events = await reader.rest()
    expect(await reader.ended).toBe('complete')
    expect(events.map(({ kind }) => kind)).toEqual(['data', 'control'])
    await until(server, short, 401)
  })

  it('its long-poll is answered', async () => {
    const { server, short } = await world()
    const tail = await server.request('GET', `${TARGET}?offset=now`, { headers: short })
    const next = tail.headers.get('stream-next-offset') ?? ''
    const reply = await server.request('GET', `${TARGET}?offset=${next}&live=long-poll`, { headers: short })
    expect([reply.status, reply.headers.get('stream-next-offset')]).toEqual([204, next])
  })
})

describe('files', () => {
  it('API keys come and go without a restart, and a broken file changes nothing', async () => {
    const file = join(await folder(), 'keys.json')
    const [old, young] = [createApiKey(['read:**'], 'old'), createApiKey(['read:**'], 'young')]
    await replace(file, { keys: [old.entry] })
    const server = await start({ apiKeys: { file } })
    expect([await statusOf(server, bearer(old.key)), await statusOf(server, bearer(young.key))]).toEqual([
      404, 401,
    ])
    await replace(file, { keys: [young.entry] })
    await until(server, bearer(young.key), 404)
    expect(await statusOf(server, bearer(old.key))).toBe(401)
    await writeFile(file, `{"keys": [{"id": "young", "hash": "${young.entry.hash}"`)
    while (server.errors.length === 0) await statusOf(server, bearer(young.key))
    expect(await statusOf(server, bearer(young.key))).toBe(404)
    expect(String(server.errors[0])).toContain('keys.json')
    expect(server.errors.map(String).join()).not.toContain(young.entry.hash)
  })

  it('rules do too', async () => {
    const file = join(await folder(), 'rules.json')
    await replace(file, { rules: [] })
    const server = await start({ rules: { file } })
    expect(await statusOf(server, {})).toBe(401)
    await replace(file, { rules: [{ who: 'anyone', paths: ['a'], operations: ['read'] }] })
    await until(server, {}, 404)
  })

  it('keys of an issuer do too', async () => {
    const file = join(await folder(), 'jwks.json')
    const [first, second] = await Promise.all([makeIssuerKey('1', 'ES256'), makeIssuerKey('2', 'ES256')])
    await replace(file, { keys: [first.jwk] })
    const server = await start({ jwt: { keys: { jwksFile: file } } })
    const [old, young] = await Promise.all([first, second].map((one) => one.token({ scope: 'read:**' })))
    expect(await statusOf(server, bearer(old ?? ''))).toBe(404)
    expect(await statusOf(server, bearer(young ?? ''))).toBe(401)
    await replace(file, { keys: [second.jwk] })
    await until(server, bearer(young ?? ''), 404)
    expect(await statusOf(server, bearer(old ?? ''))).toBe(401)
  })
})

describe('keys of a URL', () => {
  async function issuerAt(): Promise<KeyServer> {
    const keys = await serveKeys([])
    undo.push(() => keys.close())
    return keys
  }

  it('are fetched once for many requests, and again for a key that is new', async () => {
    const issuer = await issuerAt()
    const key = await makeIssuerKey('1', 'ES256')
    issuer.keys = [key.jwk]
    const server = await start({ jwt: { keys: { jwksUrl: issuer.url } } })
    const token = bearer(await key.token({ scope: 'read:**' }))
    const statuses = await Promise.all(Array.from({ length: 20 }, () => statusOf(server, token)))
    expect(new Set(statuses)).toEqual(new Set([404]))
    expect(issuer.asked()).toBe(1)
  })

  it('are not asked for at the pace of whoever makes key ids up', async () => {
    const issuer = await issuerAt()
    const [first, second] = await Promise.all([makeIssuerKey('1', 'ES256'), makeIssuerKey('2', 'ES256')])
    issuer.keys = [first.jwk]
    const errors: unknown[] = []
    let nowMs = 0
    const set = new RemoteKeySet(
      issuer.url,
      (error) => errors.push(error),
      () => nowMs,
    )
    await set.open()
    const known = await set.current()
    issuer.keys = [first.jwk, second.jwk]
    expect(await Promise.all([set.renewed(), set.renewed()])).toEqual([known, known])
    expect(issuer.asked()).toBe(1)
    nowMs += 30_000
    const [one, other] = await Promise.all([set.renewed(), set.renewed()])
    expect(one).not.toBe(known)
    expect(other).toBe(one)
    expect([issuer.asked(), errors]).toEqual([2, []])
  })

  it('count for a day while the issuer is down, and are back as soon as it is', async () => {
    const issuer = await issuerAt()
    issuer.keys = [(await makeIssuerKey('1', 'ES256')).jwk]
    const errors: unknown[] = []
    let nowMs = 0
    const set = new RemoteKeySet(
      issuer.url,
      (error) => errors.push(error),
      () => nowMs,
    )
    await set.open()
    const known = await set.current()
    issuer.status = 500
    nowMs += 23 * 3_600_000
    expect(await set.current()).toBe(known)
    nowMs += 2 * 3_600_000
    await set.renewed()
    nowMs += 1000
    expect(await set.current()).toBeUndefined()
    expect(errors.length).toBeGreaterThan(0)
    issuer.status = 200
    nowMs += 1000
    expect(await set.current()).toBeDefined()
  })

  it('that never came: the server starts, and says try again rather than no', async () => {
    const issuer = await issuerAt()
    issuer.status = 503
    const key = await makeIssuerKey('1', 'RS256')
    const server = await start({ jwt: { keys: { jwksUrl: issuer.url } } })
    const token = bearer(await key.token({ scope: 'read:**' }))
    const reply = await server.request('GET', TARGET, { headers: token })
    expect([reply.status, reply.headers.get('retry-after')]).toEqual([503, '1'])
    expect(await statusOf(server, {})).toBe(401)
    issuer.keys = [key.jwk]
    issuer.status = 200
    await until(server, token, 404)
    expect(String(server.errors[0])).toContain(issuer.url)
  })

  it('without ids are tried one after the other', async () => {
    const issuer = await issuerAt()
    const pairs = await Promise.all(['1', '2', '3'].map((kid) => makeIssuerKey(kid, 'ES256')))
    issuer.keys = pairs.map(({ jwk: { kid: _, ...jwk } }) => jwk)
    const server = await start({ jwt: { keys: { jwksUrl: issuer.url } } })
    const stranger = await makeIssuerKey('4', 'ES256')
    for (const pair of pairs) {
      expect(await statusOf(server, bearer(await pair.token({ scope: 'read:**' }, { kid: undefined })))).toBe(
        404,
      )
    }
    expect(
      await statusOf(server, bearer(await stranger.token({ scope: 'read:**' }, { kid: undefined }))),
    ).toBe(401)
  })
})
