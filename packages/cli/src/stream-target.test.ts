/** Where requests go and as whom: flags, environment, and secrets that stay secret. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, test } from 'vitest'
import { beginCommand } from './stream-process.fixture.ts'
import { DEFAULT_URL, pathOf, type TargetFlags, targetOf, type Variables } from './stream-target.ts'

function urlOf(flags: TargetFlags, variables: Variables): string {
  return targetOf('a', flags, variables).url
}

function authOf(name: string, flags: TargetFlags, variables: Variables): string | undefined {
  return targetOf(name, flags, variables).auth
}

describe('the root', () => {
  test('(C-183) a flag comes before MILLRACE_URL, that before STREAM_URL, and that before the default', () => {
    const all = { MILLRACE_URL: 'http://m/s', STREAM_URL: 'http://s/s' }

    expect(urlOf({ url: 'http://f/s' }, all)).toBe('http://f/s/a')
    expect(urlOf({}, all)).toBe('http://m/s/a')
    expect(urlOf({}, { ...all, MILLRACE_URL: '' })).toBe('http://s/s/a')
    expect(urlOf({}, { STREAM_URL: '' })).toBe(`${DEFAULT_URL}/a`)
  })

  test('may end with slashes, and a URL as name needs none', () => {
    expect(urlOf({ url: 'https://h:8443/streams//' }, {})).toBe('https://h:8443/streams/a')
    const whole = targetOf('http://h/v1/stream/a%20b', { url: 'http://other/s' }, {})
    expect([whole.url, pathOf(whole)]).toEqual(['http://h/v1/stream/a%20b', '/v1/stream/a%20b'])
  })

  test('names the setting that is wrong', () => {
    expect(() => urlOf({}, { STREAM_URL: 'h:80' })).toThrow(/^STREAM_URL is not an http or https URL/)
    expect(() => urlOf({}, { MILLRACE_URL: 'http://u:pw@h/' })).toThrow(
      /^MILLRACE_URL holds a user or a password/,
    )
  })
})

describe('credentials', () => {
  test('(C-183) a flag comes before MILLRACE_AUTH, and that before STREAM_AUTH', () => {
    const all = { MILLRACE_AUTH: 'Bearer m', STREAM_AUTH: 'Bearer s' }

    expect(authOf('a', { auth: 'Bearer f' }, all)).toBe('Bearer f')
    expect(authOf('a', {}, all)).toBe('Bearer m')
    expect(authOf('a', {}, { ...all, MILLRACE_AUTH: '' })).toBe('Bearer s')
    expect(authOf('a', {}, {})).toBeUndefined()
  })

  test('of the environment go to the configured server only; those of the flag go where they are told', () => {
    const variables = { STREAM_URL: 'https://mine/s', STREAM_AUTH: 'Bearer s' }

    expect(authOf('https://other/s/a', {}, variables)).toBeUndefined()
    expect(targetOf('https://other/s/a', {}, variables).notes).toEqual([
      expect.stringMatching(/^STREAM_AUTH is for https:\/\/mine and is not sent to https:\/\/other/),
    ])
    expect(authOf('https://mine/s/a', {}, variables)).toBe('Bearer s')
    expect(authOf('https://other/s/a', { auth: 'Bearer f' }, variables)).toBe('Bearer f')
    expect(authOf('https://other/s/a', {}, { STREAM_AUTH: 'Bearer s' })).toBe('Bearer s')
  })

  test('(C-183) without a scheme are sent, with a remark that does not show them', () => {
    const { auth, notes } = targetOf('a', { auth: 'sekret' }, {})

    expect([auth, notes]).toEqual(['sekret', [expect.stringMatching(/^--auth has no scheme/)]])
    expect(notes.join()).not.toContain('sekret')
  })

  test.each([
    [401, 5],
    [403, 5],
    [418, 1],
  ])('(C-183) a server that answers %i and shows them does not make them known', async (status, code) => {
    const seen: (string | undefined)[] = []
    const server = createServer((request, response) => {
      seen.push(request.headers.authorization)
      response.writeHead(status, { 'content-type': 'text/plain' })
      response.end(`\x1b[2Jno: ${request.headers.authorization} or abc.def`)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const environment = { MILLRACE_URL: `http://127.0.0.1:${port}/s`, STREAM_AUTH: 'Bearer abc.def' }
    const exits = await Promise.all(
      ['read', 'tail', 'create', 'delete', 'head', 'append'].map(
        (command) => beginCommand([command, 'a', ...(command === 'append' ? ['x'] : [])], environment).over,
      ),
    )
    await new Promise((resolve) => server.close(resolve))

    expect(exits.map((exit) => exit.code)).toEqual(exits.map(() => code))
    expect(new Set(seen)).toEqual(new Set(['Bearer abc.def']))
    expect(
      exits
        .map(({ stdout, stderr }) => stdout + stderr)
        .filter((said) => said.includes('abc.def') || said.includes('\x1b')),
    ).toEqual([])
  })
})
