/** The client in headless Chromium: following live, reloading, in the background, and more streams than connections. */
import { randomUUID } from 'node:crypto'
import { DurableStream } from '@millrace/client'
import { createServer, type MillraceServer, memoryStorage } from '@millrace/server'
import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { launchBrowser, mayBrowse, type Site, startSite, tabsOf } from './browser.fixture.ts'
import { startCuttingProxy } from './cutting-proxy.ts'
import { makeOwnCertificate } from './own-certificate.fixture.ts'
import {
  DEFINE_FOLLOW,
  follow,
  openFollowingPage,
  type PageWindow,
  reload,
  seenIn,
} from './page-follow.fixture.ts'

declare const window: PageWindow

const WAIT = { timeout: 30_000, interval: 20 }

let browser: Browser
let site: Site
let server: MillraceServer

beforeAll(async () => {
  if (!mayBrowse) return
  browser = await launchBrowser()
  site = await startSite()
  server = await createServer({ storage: memoryStorage(), port: 0, longPollTimeoutMs: 500 })
})

afterEach(async () => {
  for (const context of browser?.contexts() ?? []) await context.close()
})

afterAll(async () => {
  await browser?.close()
  await site?.close()
  await server?.close()
})

async function newStream(): Promise<DurableStream> {
  const url = `${server.url}/v1/stream/browsers/${randomUUID()}`
  return DurableStream.create({ url, contentType: 'application/json', warnOnHttp: false })
}

async function append(handle: DurableStream, from: number, to: number): Promise<void> {
  for (let number = from; number < to; number++) await handle.append(number)
}

const numbers = (from: number, to: number): readonly number[] =>
  Array.from({ length: to - from }, (_, index) => from + index)

async function expectSeen(page: Page, { url }: DurableStream, expected: readonly number[]): Promise<void> {
  await vi.waitFor(async () => expect((await seenIn(page, url)).length).toBe(expected.length), WAIT)
  expect(await seenIn(page, url)).toEqual(expected)
}

describe.each(['sse', 'long-poll'] as const)('by %s', (live) => {
  it.skipIf(!mayBrowse)(
    'a page sees each event once and in order, as they come (needs chromium)',
    async () => {
      const handle = await newStream()
      await append(handle, 0, 5)
      const page = await openFollowingPage(browser, site)
      await follow(page, [handle.url], { live })
      await expectSeen(page, handle, numbers(0, 5))
      await append(handle, 5, 40)
      await expectSeen(page, handle, numbers(0, 40))
    },
  )

  it.skipIf(!mayBrowse)('a page that is reloaded goes on where it was (needs chromium)', async () => {
    const handle = await newStream()
    const page = await openFollowingPage(browser, site)
    await follow(page, [handle.url], { live, keep: 'kept' })
    const writing = append(handle, 0, 120)
    for (const least of [20, 50, 80]) {
      await vi.waitFor(async () => {
        expect((await seenIn(page, handle.url)).length).toBeGreaterThanOrEqual(least)
      }, WAIT)
      await reload(page)
      await follow(page, [handle.url], { live, keep: 'kept' })
    }
    await writing
    await expectSeen(page, handle, numbers(0, 120))
  })

  it.skipIf(!mayBrowse)(
    'a tab in the background reads nothing, and catches up (needs chromium)',
    async () => {
      const handle = await newStream()
      const open = await tabsOf(browser)
      const tab = await open(site.url)
      await tab.until('window.millrace !== undefined')
      await tab.evaluate(DEFINE_FOLLOW)
      const url = JSON.stringify(handle.url)
      await tab.evaluate(`window.follow(${url}, { live: '${live}' })`)
      await append(handle, 0, 5)
      await tab.until(`window.seen[${url}].length === 5`)
      await vi.waitFor(() => expect(server.statistics()?.readers).toBe(1), WAIT)

      const other = await open('about:blank')
      await other.toFront()
      await tab.until("document.visibilityState === 'hidden'")
      await vi.waitFor(() => expect(server.statistics()?.readers).toBe(0), WAIT)
      const before = server.requestCounts()
      await append(handle, 5, 25)
      // The appends are the only requests: a hidden page asks for nothing.
      expect(server.requestCounts().http1 - before.http1).toBe(20)
      expect(await tab.evaluate(`window.seen[${url}].length`)).toBe(5)

      await tab.toFront()
      await tab.until(`window.seen[${url}].length >= 25`)
      expect(await tab.evaluate(`window.seen[${url}]`)).toEqual(numbers(0, 25))
      await tab.evaluate('location.href = "about:blank"')
      await vi.waitFor(() => expect(server.statistics()?.readers).toBe(0), WAIT)
    },
  )
})

describe('more streams than a browser has connections', () => {
  it.skipIf(!mayBrowse)(
    'over HTTP/1.1 two warnings say what to do, and all get their turn (needs chromium)',
    async () => {
      const handles = await Promise.all(numbers(0, 8).map(newStream))
      const page = await openFollowingPage(browser, site)
      const warnings: string[] = []
      page.on('console', (message) => {
        if (message.type() === 'warning') warnings.push(message.text())
      })
      // By long-poll the sessions take turns on the six connections: all of them are served in the end.
      await follow(
        page,
        handles.map(({ url }) => url),
        { live: 'long-poll' },
      )
      for (const handle of handles) await append(handle, 0, 3)
      for (const handle of handles) await expectSeen(page, handle, numbers(0, 3))
      expect(warnings).toEqual([
        expect.stringMatching(/at most six requests .*https with HTTP\/2/),
        expect.stringMatching(/^6 live streams .*https with HTTP\/2, or follow fewer/),
      ])
    },
  )

  it.skipIf(!mayBrowse)('over HTTP/2 twenty are open at once (needs chromium)', async () => {
    const { files, remove } = await makeOwnCertificate()
    const secure = await createServer({ storage: memoryStorage(), port: 0, tls: files })
    const urls = numbers(0, 20).map((number) => `${secure.url}/v1/stream/tabs/${number}`)
    const page = await openFollowingPage(browser, site)
    const warnings: string[] = []
    page.on('console', (message) => warnings.push(message.text()))
    try {
      await page.evaluate(
        (all) =>
          Promise.all(
            all.map((url) => window.millrace.DurableStream.create({ url, contentType: 'application/json' })),
          ),
        urls,
      )
      await follow(page, urls, { live: 'sse' })
      await vi.waitFor(() => expect(secure.statistics()?.readers).toBe(20), WAIT)
      await page.evaluate(
        (all) =>
          Promise.all(
            all.map((url, index) =>
              new window.millrace.DurableStream({ url, contentType: 'application/json' }).append(index),
            ),
          ),
        urls,
      )
      for (const [index, url] of urls.entries()) {
        await vi.waitFor(async () => expect(await seenIn(page, url)).toEqual([index]), WAIT)
      }
      expect(secure.statistics()?.readers).toBe(20)
      expect(secure.requestCounts()).toMatchObject({ http1: 0 })
      expect(warnings).toEqual([])
    } finally {
      await page.close()
      await secure.close()
      await remove()
    }
  })
})

describe('writing', () => {
  it.skipIf(!mayBrowse)(
    'a producer loses and repeats nothing over bad connections (needs chromium)',
    async () => {
      const handle = await newStream()
      const proxy = await startCuttingProxy(server.port, () => 2_000 + Math.floor(Math.random() * 3_000))
      const page = await openFollowingPage(browser, site)
      try {
        await page.evaluate(
          async ([url]) => {
            const { DurableStream, IdempotentProducer } = window.millrace
            const stream = new DurableStream({ url, contentType: 'application/json', warnOnHttp: false })
            const producer = new IdempotentProducer(stream, crypto.randomUUID(), { maxBatchBytes: 64 })
            for (let number = 0; number < 500; number++) await producer.append(number)
            await producer.flush()
          },
          [`${proxy.url}${new URL(handle.url).pathname}`] as const,
        )
      } finally {
        await page.close()
        await proxy.close()
      }
      expect(proxy.cuts).toBeGreaterThan(0)
      const response = await handle.stream<number>({ live: false })
      expect(await response.json()).toEqual(numbers(0, 500))
    },
  )
})
