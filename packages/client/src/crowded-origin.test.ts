import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { _resetHttpWarningForTesting } from './http-warning.ts'
import { page, scriptedFetch } from './scripted-fetch.fixture.ts'
import { stream } from './stream.ts'
import type { StreamResponse } from './stream-response.ts'

const ORIGIN = 'http://a.example:8080'
const warn = vi.fn<(text: string) => void>()
let following: StreamResponse[]

beforeEach(() => {
  _resetHttpWarningForTesting()
  following = []
  warn.mockClear()
  vi.stubEnv('NODE_ENV', 'production')
  vi.stubGlobal('console', { warn })
  vi.stubGlobal('window', { location: { href: `${ORIGIN}/page` } })
})

afterEach(() => {
  for (const response of following) response.cancel()
  vi.unstubAllGlobals()
  vi.unstubAllEnvs()
})

interface FollowOptions {
  readonly origin?: string
  readonly live?: boolean | 'sse' | 'long-poll'
  readonly warnOnHttp?: boolean
}

/** Follows a stream up to the request that waits for news. */
async function follow({
  origin = ORIGIN,
  live = true,
  warnOnHttp,
}: FollowOptions = {}): Promise<StreamResponse> {
  const script = scriptedFetch(page('[1]', { offset: '0_1' }))
  const response = await stream({ url: `${origin}/stream`, fetch: script.fetch, live, warnOnHttp })
  following.push(response)
  response.subscribeJson(() => undefined)
  await (live === false ? response.closed : script.untilRequests(2))
  return response
}

async function followMany(count: number, options?: FollowOptions): Promise<readonly StreamResponse[]> {
  return Promise.all(Array.from({ length: count }, () => follow(options)))
}

const crowdWarnings = () => warn.mock.calls.map(([text]) => text).filter((text) => text.includes('are open'))

it('the sixth live stream of an origin over http: is warned about, once', async () => {
  await followMany(5)
  const before = crowdWarnings()
  await follow()
  const after = crowdWarnings()
  await followMany(3)

  expect(before).toEqual([])
  expect(after).toEqual([expect.stringMatching(/^6 live streams of http:\/\/a\.example:8080 are open/)])
  expect(after[0]).toContain('HTTP/2')
  expect(crowdWarnings()).toHaveLength(1)
})

it.each(['sse', 'long-poll'] as const)('however they follow: %s', async (live) => {
  await followMany(6, { live })

  expect(crowdWarnings()).toHaveLength(1)
})

it('each origin has connections of its own', async () => {
  await followMany(5)
  await followMany(5, { origin: 'http://a.example' })
  const before = crowdWarnings()
  await follow({ origin: 'http://a.example' })

  expect(before).toEqual([])
  expect(crowdWarnings()).toEqual([expect.stringContaining('of http://a.example are')])
})

it('streams that have ended hold no connection', async () => {
  const [first, second] = await followMany(5)
  first?.cancel()
  first?.cancel()
  second?.cancel()
  await followMany(2)
  const before = crowdWarnings()
  await follow()

  expect(before).toEqual([])
  expect(crowdWarnings()).toHaveLength(1)
})

it.each([
  ['over https:', { origin: 'https://a.example' }],
  ['that are not live', { live: false }],
  ['with warnOnHttp: false', { warnOnHttp: false }],
])('streams %s are not warned about', async (_, options) => {
  await followMany(8, options)

  expect(crowdWarnings()).toEqual([])
})

it('what is collected to its present end takes a connection for a moment only', async () => {
  for (let n = 0; n < 8; n++) {
    const script = scriptedFetch(page('[1]', { offset: '0_1', upToDate: true }))
    const response = await stream({ url: `${ORIGIN}/stream`, fetch: script.fetch })
    expect(await response.json()).toEqual([1])
  }

  expect(crowdWarnings()).toEqual([])
})

it('a session that was cancelled before anything was read never follows', async () => {
  for (let n = 0; n < 8; n++) {
    const { fetch } = scriptedFetch(page('[1]', { offset: '0_1' }))
    const response = await stream({ url: `${ORIGIN}/stream`, fetch })
    response.cancel()
    response.subscribeJson(() => undefined)
    await response.closed
  }

  expect(crowdWarnings()).toEqual([])
})

it('outside browsers there is no such limit', async () => {
  vi.stubGlobal('window', undefined)
  await followMany(8)

  expect(following).toHaveLength(8)
  expect(warn).not.toHaveBeenCalled()
})
