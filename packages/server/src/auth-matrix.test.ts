/** Who may do what: every kind of credentials x path x operation over HTTP. */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { type CreatedApiKey, createApiKey } from './auth-api-keys.ts'
import { bearer, inSeconds, SECRET, secretToken } from './auth-world.fixture.ts'
import { type Reply, type SendHeaders, startTestServer, type TestServer } from './test-server.fixture.ts'

const ROOT = '/v1/stream'
const TEXT = { 'content-type': 'text/plain' }
const SOURCE = 'orders/1'
const PATHS = [SOURCE, 'orders/1/items', 'users/alice/a', 'users/bob/a', 'public/news', 'other'] as const
type Path = (typeof PATHS)[number]

/** What is done, by a letter. A fork is made at the path, of the source. */
const OPERATIONS = {
  c: ['PUT', '', TEXT],
  f: ['PUT', '', { 'stream-forked-from': `${ROOT}/${SOURCE}` }],
  a: ['POST', '', TEXT],
  x: ['POST', '', { ...TEXT, 'stream-closed': 'True' }],
  r: ['GET', '?offset=-1', {}],
  h: ['HEAD', '', {}],
  l: ['GET', '?offset=-1&live=long-poll', {}],
  s: ['GET', '?offset=-1&live=sse', {}],
  d: ['DELETE', '', {}],
} satisfies Readonly<Record<string, readonly [method: string, query: string, headers: SendHeaders]>>
type Letter = keyof typeof OPERATIONS
const LETTERS = Object.keys(OPERATIONS).join('')

/** What everybody may do. */
const ANYBODY: Partial<Record<Path, string>> = { 'public/news': 'rhls' }
const ALICE: Partial<Record<Path, string>> = { ...ANYBODY, 'users/alice/a': 'caxrhlsd' }

/** What each may do, by letters; nothing where nothing is said. */
const ALLOWED = {
  nobody: ANYBODY,
  'a reader of one segment': { ...ANYBODY, 'orders/1': 'rhls', other: '' },
  'a reader of a tree': { ...ANYBODY, 'orders/1': 'rhls', 'orders/1/items': 'rhls' },
  'a writer without close': { ...ANYBODY, 'orders/1': 'ca', other: 'ca' },
  'a writer who closes': { ...ANYBODY, 'orders/1': 'ax' },
  'one who may only close': ANYBODY,
  'one who forks': { ...ANYBODY, 'orders/1': 'rhls', other: 'cf' },
  alice: ALICE,
  'alice by a rule of her own': { ...ALICE, other: 'd' },
  'a user without a name': ANYBODY,
  'an API key': { ...ANYBODY, 'orders/1': 'rhls', other: 'a' },
  'an administrator': Object.fromEntries(PATHS.map((path) => [path, LETTERS])),
  'admin only': ANYBODY,
  'scopes of somebody else': ANYBODY,
} satisfies Readonly<Record<string, Partial<Record<Path, string>>>>
type Who = keyof typeof ALLOWED

let server: TestServer
let key: CreatedApiKey
const headers = new Map<string, SendHeaders>()

beforeAll(async () => {
  key = createApiKey(['read:orders/*'], 'ci')
  server = await startTestServer({
    longPollTimeoutMs: 5,
    sseReconnectIntervalMs: 1,
    adminBasePath: '/admin',
    authentication: {
      jwt: { keys: { secret: SECRET } },
      apiKeys: [key.entry],
      rules: [
        { who: 'anyone', paths: ['public/**'], operations: ['read'] },
        { who: 'authenticated', paths: ['users/{sub}/**'], operations: ['*'] },
        { who: 'subject:alicia', paths: ['users/alice/**'], operations: ['*'] },
        { who: 'subject:alicia', paths: ['other'], operations: ['delete'] },
        { who: 'key:ci', paths: ['other'], operations: ['append'] },
      ],
    },
  })
  const tokens: Readonly<Record<Exclude<Who, 'nobody' | 'an API key'>, string>> = {
    'a reader of one segment': await secretToken({ scope: 'openid read:orders/*' }),
    'a reader of a tree': await secretToken({ scope: 'read:orders/**' }),
    'a writer without close': await secretToken({
      streams: [{ paths: ['orders/*', 'other'], operations: ['create', 'append'] }],
    }),
    'a writer who closes': await secretToken({ scope: 'append,close:orders/1' }),
    'one who may only close': await secretToken({ scope: 'close:orders/**' }),
    'one who forks': await secretToken({ scope: 'read:orders/1 create:other' }),
    alice: await secretToken({ sub: 'alice' }),
    'alice by a rule of her own': await secretToken({ sub: 'alicia' }),
    'a user without a name': await secretToken({}),
    'an administrator': await secretToken({ scope: '*:**' }),
    'admin only': await secretToken({ scope: 'admin:**' }),
    'scopes of somebody else': await secretToken({
      scope: 'read read: :** READ:** read:/orders/1 all:**',
      streams: [
        { paths: ['**'], operations: ['read', 'everything'] },
        { paths: '**', operations: 'read' },
      ],
    }),
  }
  for (const [who, token] of Object.entries(tokens)) headers.set(who, bearer(token))
  headers.set('an API key', bearer(key.key))
  headers.set('nobody', {})
})
afterAll(() => server.close())

function send(who: SendHeaders, letter: Letter, path: string): Promise<Reply> {
  const [method, query, fields] = OPERATIONS[letter]
  const body = method === 'POST' ? { body: 'x' } : {}
  return server.request(method, `${ROOT}/${path}${query}`, { headers: { ...fields, ...who }, ...body })
}

/** Puts every stream back as it was. */
async function reset(): Promise<void> {
  const admin = headers.get('an administrator') ?? {}
  for (const path of [...PATHS].reverse()) await send(admin, 'd', path)
  for (const path of PATHS) await send(admin, 'c', path)
}

function isRefused({ status }: Reply): boolean {
  return status === 401 || status === 403
}

describe('R-343: the matrix of who may do what', () => {
  it.each(Object.keys(ALLOWED) as readonly Who[])('%s', async (who) => {
    const allowed: Partial<Record<Path, string>> = ALLOWED[who]
    const found: Partial<Record<Path, string>> = {}
    for (const path of PATHS) {
      await reset()
      let letters = ''
      for (const letter of Object.keys(OPERATIONS) as readonly Letter[]) {
        const reply = await send(headers.get(who) ?? {}, letter, path)
        if (!isRefused(reply)) letters += letter
        else expect(reply.status).toBe(who === 'nobody' ? 401 : 403)
      }
      found[path] = letters
    }
    const expected = PATHS.map((path) => [path, [...(allowed[path] ?? '')].sort().join('')])
    expect(Object.entries(found).map(([path, letters]) => [path, [...letters].sort().join('')])).toEqual(
      expected,
    )
  })

  it('refuses alike whether a stream exists, was deleted, or never was', async () => {
    await reset()
    await send(headers.get('an administrator') ?? {}, 'd', 'orders/1/items')
    for (const who of ['nobody', 'alice'] as const) {
      for (const letter of Object.keys(OPERATIONS) as readonly Letter[]) {
        const answers = await Promise.all(
          ['orders/1', 'orders/1/items', 'orders/never'].map((path) =>
            send(headers.get(who) ?? {}, letter, path),
          ),
        )
        const seen = answers.map(({ status, headers: fields, text }) => {
          return { status, text, fields: [...fields].filter(([name]) => name !== 'date') }
        })
        expect(seen[1]).toEqual(seen[0])
        expect(seen[2]).toEqual(seen[0])
      }
    }
  })

  it('lists the streams for whoever has admin on all paths, and for nobody else', async () => {
    const statuses: Record<string, number> = {}
    for (const [who, fields] of headers) {
      statuses[who] = (await server.request('GET', '/admin/streams', { headers: fields })).status
    }
    const expected = Object.keys(statuses).map((who) => [
      who,
      who === 'nobody' ? 401 : who === 'admin only' ? 200 : 403,
    ])
    expect(statuses).toEqual(Object.fromEntries(expected))
    const below = bearer(await secretToken({ scope: 'admin:orders/**' }))
    expect((await server.request('GET', '/admin/streams', { headers: below })).status).toBe(403)
  })

  it('leaves nothing behind when it refuses', async () => {
    await reset()
    const admin = headers.get('an administrator') ?? {}
    for (const letter of ['c', 'f', 'a', 'x', 'd'] as const) {
      expect((await send({}, letter, 'other')).status).toBe(401)
      expect((await send({}, letter, 'new')).status).toBe(401)
    }
    expect((await send(admin, 'r', 'other')).text).toBe('')
    expect((await send(admin, 'h', 'other')).headers.get('stream-closed')).toBeNull()
    expect((await send(admin, 'h', 'new')).status).toBe(404)
  })
})

describe('answers', () => {
  it('say what would help, and to web pages too', async () => {
    const origin = { origin: 'http://localhost:3000' }
    const missing = await send(origin, 'r', 'other')
    const wrong = await send({ ...origin, ...bearer('nonsense') }, 'r', 'other')
    const poor = await send({ ...origin, ...headers.get('alice') }, 'r', 'other')
    const challenge = 'Bearer realm="millrace"'
    expect([missing, wrong, poor].map(({ headers: fields }) => fields.get('www-authenticate'))).toEqual([
      challenge,
      `${challenge}, error="invalid_token"`,
      `${challenge}, error="insufficient_scope"`,
    ])
    for (const reply of [missing, wrong, poor]) {
      expect(reply.headers.get('access-control-allow-origin')).toBe('http://localhost:3000')
      expect(reply.headers.get('access-control-expose-headers')).toContain('WWW-Authenticate')
      expect(reply.headers.get('cache-control')).toBe('no-store')
    }
  })

  it('are kept by shared caches only where anyone may read', async () => {
    await reset()
    const alice = headers.get('alice') ?? {}
    await send(alice, 'a', 'users/alice/a')
    await send(headers.get('an administrator') ?? {}, 'a', 'public/news')
    for (const letter of ['r', 'l', 's'] as const) {
      const own = await send(alice, letter, 'users/alice/a')
      expect(own.headers.get('cache-control')).toMatch(/^private, /)
      expect(own.headers.get('vary')).toMatch(/\bAuthorization\b/)
      const open = await send({}, letter, 'public/news')
      expect(open.headers.get('cache-control')).toMatch(letter === 's' ? /^no-cache$/ : /^public, /)
      expect(open.headers.get('vary')).not.toMatch(/\bAuthorization\b/)
    }
    const tag = (await send(alice, 'r', 'users/alice/a')).headers.get('etag') ?? ''
    const again = await send({ ...alice, 'if-none-match': tag }, 'r', 'users/alice/a')
    expect([again.status, again.headers.get('cache-control')?.slice(0, 8)]).toEqual([304, 'private,'])
    expect((await send({ 'if-none-match': tag }, 'r', 'users/alice/a')).status).toBe(401)
  })

  it('need no credentials for preflights and health checks, wrong ones included', async () => {
    const wrong = { ...bearer('nonsense'), origin: 'http://localhost:3000' }
    expect((await server.request('OPTIONS', `${ROOT}/other`, { headers: wrong })).status).toBe(204)
    for (const path of ['/healthz', '/readyz', '/health']) {
      expect((await server.request('GET', path, { headers: wrong })).status).toBe(200)
    }
  })

  it('come before the body is looked at', async () => {
    const big = { headers: TEXT, body: 'x'.repeat(2_000_000) }
    const small = await startTestServer({ maxBodyBytes: 10, authentication: { rules: [] } })
    try {
      expect((await small.request('POST', `${ROOT}/other`, big)).status).toBe(401)
    } finally {
      await small.close()
    }
  })

  it('limit each subject by itself, and wrong credentials by address', async () => {
    const authentication = {
      jwt: { keys: { secret: SECRET } },
      rules: [{ who: 'anyone', paths: ['**'], operations: ['read'] }],
    } as const
    const time = vi.spyOn(performance, 'now').mockReturnValue(performance.now())
    const limited = await startTestServer({ maxRequestsPerSecond: 1, authentication })
    try {
      const exp = inSeconds(600)
      const [alice, bob] = await Promise.all(
        ['alice', 'bob'].map(async (sub) => bearer(await secretToken({ sub, exp }))),
      )
      const other = bearer(await secretToken({ sub: 'alice', exp: exp + 1 }))
      const asked = [alice, bob, other, bearer('nonsense'), bearer('nonsense'), {}]
      const statuses: number[] = []
      for (const fields of asked) {
        const reply = await limited.request('GET', `${ROOT}/none`, { headers: { ...fields } })
        statuses.push(reply.status)
      }
      expect(statuses).toEqual([404, 404, 429, 401, 429, 429])
    } finally {
      time.mockRestore()
      await limited.close()
    }
  })
})
