/** No spelling of a path gets around a rule: what is authorised is what the store sees. */

import { parseStreamPath } from '@millrace/protocol'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { matchesPattern, parsePattern } from './auth-path-pattern.ts'
import { bearer, SECRET, secretToken } from './auth-world.fixture.ts'
import { type Reply, rawExchange, startTestServer, type TestServer } from './test-server.fixture.ts'

const SEED = 20_261_121
const ROOT = '/v1/stream'
const TEXT = { 'content-type': 'text/plain' }

let server: TestServer
let admin: { readonly authorization: string }
let user: { readonly authorization: string }

beforeAll(async () => {
  server = await startTestServer({ authentication: { jwt: { keys: { secret: SECRET } } } })
  admin = bearer(await secretToken({ scope: '*:**' }))
  user = bearer(await secretToken({ sub: 'alice', scope: 'read,create:public/* read:users/{sub}/**' }))
})
afterAll(() => server.close())

function matches(pattern: string, path: string, subject?: string): boolean {
  const parsed = parseStreamPath(path)
  const made = parsePattern(pattern)
  if (parsed.kind !== 'stream' || made === undefined) throw new Error(`${pattern} or ${path} is not valid`)
  return matchesPattern(made, parsed.path, subject)
}

describe('patterns', () => {
  it.each<[string, string, boolean]>([
    ['orders', 'orders', true],
    ['orders', 'orders/1', false],
    ['orders', 'Orders', false],
    ['orders/*', 'orders/1', true],
    ['orders/*', 'orders', false],
    ['orders/*', 'orders/1/items', false],
    ['orders/*', 'orders/1%2Fitems', true],
    ['orders/*', 'orders%2F1', false],
    ['orders/**', 'orders', false],
    ['orders/**', 'orders/1/items', true],
    ['orders/**', 'orders-old/1', false],
    ['**', 'a/b/c', true],
    ['*/items', 'a/items', true],
    ['*/items', 'a/b/items', false],
    ['day-*-log', 'day-1-log', true],
    ['day-*-log', 'day-log', false],
    ['day-*-*-log', 'day-1-2-log', true],
    ['aa*aa', 'aaa', false],
    ['a*b*c', 'axxbxxbc', true],
    ['%6frders/*', 'orders/1', true],
    ['a%2fb', 'a%2Fb', true],
    ['a%2fb', 'a/b', false],
    ['100%25', '100%25', true],
    ['x/__ds', 'x/__ds', true],
  ])('%s and %s: %s', (pattern, path, expected) => {
    expect(matches(pattern, path)).toBe(expected)
  })

  it.each([
    '',
    '/orders',
    'orders/',
    'a//b',
    'a/../b',
    '**/a',
    'a**',
    '__ds',
    '__ds/**',
    '%5f_ds/x',
    'a/%2e%2e/b',
    'ü',
    '%',
  ])('%j is none', (text) => {
    expect(parsePattern(text)).toBeUndefined()
  })

  it.each<[string, string, boolean]>([
    ['alice', 'users/alice/a', true],
    ['alice', 'users/alicia/a', false],
    ['alice', 'users/Alice/a', false],
    ['a@b.example', 'users/a@b.example/a', true],
    ['a@b.example', 'users/a%40b.example/a', true],
    ['*', 'users/alice/a', false],
    ['*', 'users/*/a', true],
    ['..', 'users/alice/a', false],
    ['alice/a', 'users/alice/a', false],
    ['alice/a', 'users/alice%2Fa/b', true],
    ['{sub}', 'users/alice/a', false],
    ['Jörg', 'users/J%C3%B6rg/a', true],
    ['a%40b', 'users/a%40b/a', false],
    ['\ufffd', 'users/%ff/a', false],
  ])('{sub} for %s and %s: %s', (subject, path, expected) => {
    expect(matches('users/{sub}/**', path, subject)).toBe(expected)
  })

  it('{sub} is nobody without a subject', () => {
    expect(matches('users/{sub}/**', 'users/undefined/a')).toBe(false)
    expect(matches('users/{sub}/**', 'users//a'.replace('//', '/%20/'), '')).toBe(false)
  })
})

/** Some of the ways to write a character of a path. */
function spellings(character: string): readonly string[] {
  const hex = character.charCodeAt(0).toString(16).padStart(2, '0')
  const escaped = [`%${hex}`, `%${hex.toUpperCase()}`, `%25${hex}`]
  if (character === '/') return ['/', '//', '/./', '/x/../', '\\', '%5c', '%5C', '/%2e/', ';/', ...escaped]
  return [character, character, character, character.toUpperCase(), ...escaped]
}

const SECRETS = ['private/a', 'users/bob/a', 'public/deep/a', 'publicity/a']
const prefix = fc.constantFrom(
  '',
  '',
  '',
  'public/../',
  'public/..%2f',
  'public%2f..%2f',
  'public//',
  './',
  '%2e/',
  '/',
  '__ds/../',
  '__ds%2f',
  'users/alice/../../',
)
const suffix = fc.constantFrom(
  '',
  '',
  '',
  '/',
  '/.',
  '%2f',
  '%20',
  '%00',
  '?',
  '#',
  '/..',
  '/../a',
  ';a=b',
  '%23',
  '%3f',
)
const attack = fc
  .tuple(prefix, fc.constantFrom(...SECRETS), suffix)
  .chain(([before, path, after]) =>
    fc
      .tuple(
        ...[...path].map((character) =>
          fc.oneof(
            { weight: 8, arbitrary: fc.constant(character) },
            { weight: 1, arbitrary: fc.constantFrom(...spellings(character)) },
          ),
        ),
      )
      .map((characters) => `${before}${characters.join('')}${after}`),
  )

/** What the secret streams hold, and nothing else says. */
const CONTENT = 'nobody but the administrator may see this'

describe('spellings', () => {
  beforeAll(async () => {
    for (const path of SECRETS) {
      const created = await server.request('PUT', `${ROOT}/${path}`, {
        headers: { ...TEXT, ...admin },
        body: CONTENT,
      })
      expect(created.status).toBe(201)
    }
  })

  async function raw(target: string, headers: object, method = 'GET'): Promise<Reply | undefined> {
    const fields = Object.entries({ host: 'localhost', connection: 'close', ...headers })
    const head = fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')
    const { replies } = await rawExchange(server.port, `${method} ${target} HTTP/1.1\r\n${head}\r\n`)
    return replies[0]
  }

  it('none shows a stream to whoever may not read it, over TCP and through fetch', async () => {
    const statuses = new Set<number>()
    const property = fc.asyncProperty(attack, async (path) => {
      const replies = [
        await raw(`${ROOT}/${path}`, user),
        await raw(`http://localhost${ROOT}/${path}?offset=-1`, user),
        await server.via('fetch')('GET', `${ROOT}/${path}`, { headers: user }),
      ]
      for (const reply of replies) {
        statuses.add(reply?.status ?? 0)
        expect(reply?.text).not.toContain(CONTENT)
        expect(reply?.headers.get('stream-next-offset') ?? 'none').toBe('none')
      }
    })
    await fc.assert(property, { seed: SEED, numRuns: 400 })
    expect([...statuses]).toEqual(expect.arrayContaining([400, 403, 404]))
  })

  it('none is a source of a fork for whoever may not read it', async () => {
    let forks = 0
    const property = fc.asyncProperty(attack, async (path) => {
      const fork = `${ROOT}/public/fork-${forks++}`
      const from = path.replaceAll(/[^\x21-\x7e]/g, '')
      const headers = { ...user, 'stream-forked-from': `${ROOT}/${from}`, 'content-length': '0' }
      const reply = await raw(fork, headers, 'PUT')
      const made = await raw(`${fork}?offset=-1`, user)
      expect([400, 403, 404]).toContain(reply?.status)
      expect(made?.status).toBe(404)
    })
    await fc.assert(property, { seed: SEED + 1, numRuns: 200 })
    const allowed = await raw(`${ROOT}/public/a`, { ...user, ...TEXT, 'content-length': '0' }, 'PUT')
    expect(allowed?.status).toBe(201)
  })

  it('a different spelling of what is allowed is allowed', async () => {
    for (const path of ['public/a', '%70ublic/%61', 'p%75blic/a']) {
      expect((await raw(`${ROOT}/${path}`, user))?.status).toBe(200)
    }
  })

  it('credentials in the URL are no credentials', async () => {
    const token = user.authorization.slice('Bearer '.length)
    for (const query of ['access_token', 'token', 'authorization']) {
      expect((await raw(`${ROOT}/public/a?${query}=${token}`, {}))?.status).toBe(401)
    }
  })

  it('control routes are nobody\u2019s without credentials', async () => {
    expect((await raw(`${ROOT}/__ds/subscriptions/a`, {}))?.status).toBe(401)
    expect((await raw(`${ROOT}/__ds/subscriptions/a`, user))?.status).toBe(404)
  })
})
