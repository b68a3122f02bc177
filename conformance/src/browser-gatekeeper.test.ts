/** The gatekeeper example as two people use it: each in a browser of their own, for longer than a token lasts. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { expect, it } from 'vitest'
import { launchBrowser, mayBrowse } from './browser.fixture.ts'
import { repositoryRoot } from './server-commands.ts'
import { startServer } from './server-process.ts'

declare const document: {
  readonly cookie: string
  querySelectorAll(selector: string): { readonly length: number }
  querySelector(selector: string): { readonly hidden: boolean } | null
}

const mayRun = mayBrowse && (existsSync('/usr/lib/postgresql') || process.env.MILLRACE_REQUIRE_ALL === '1')

/** A browser of one's own: cookies are not shared. */
async function signUp(browser: Browser, url: string, name: string): Promise<Page> {
  const page = await (await browser.newContext()).newPage()
  await page.goto(url)
  await page.fill('#name', name)
  await page.fill('#password', `the password of ${name}`)
  await page.click('#signup')
  await page.waitForFunction(() => document.querySelector('#inside')?.hidden === false)
  return page
}

async function write(page: Page, to: string, text: string): Promise<void> {
  await page.fill('#to', to)
  await page.fill('#text', text)
  await page.click('#send')
  await page.waitForFunction("document.querySelector('#text').value === ''")
}

it.skipIf(!mayRun)(
  'two people write to each other for longer than their tokens last, and see their own inbox only (needs chromium)',
  async () => {
    const program = join(repositoryRoot, 'examples', 'gatekeeper', 'dist', 'main.js')
    const app = await startServer({
      command: process.execPath,
      args: [program, '--port', '0', '--streams-port', '0', '--token-seconds', '2'],
      cwd: repositoryRoot,
      startTimeoutMs: 60_000,
      stopTimeoutMs: 60_000,
    })
    const browser = await launchBrowser()
    try {
      const alice = await signUp(browser, app.url, 'alice')
      const bob = await signUp(browser, app.url, 'bob')
      let tokensOfBob = 0
      bob.on('request', (request) => {
        if (request.url() === `${app.url}/token`) tokensOfBob += 1
      })
      const sent: string[] = []
      while (tokensOfBob < 3) {
        sent.push(`<b>message</b> ${sent.length}`)
        await write(alice, 'bob', sent.at(-1) ?? '')
      }
      await write(bob, 'alice', 'that is enough')
      await bob.waitForFunction((count) => document.querySelectorAll('li').length >= count, sent.length)
      await alice.waitForFunction(() => document.querySelectorAll('li').length === 1)
      expect(await bob.locator('li').allTextContents()).toEqual(sent.map((text) => `alice: ${text}`))
      expect(await alice.locator('li').allTextContents()).toEqual(['bob: that is enough'])

      expect(await alice.evaluate(() => document.cookie)).toBe('')
      const { inboxUrl } = JSON.parse(await bob.evaluate("fetch('/account').then((answer) => answer.text())"))
      const status = `(async () => {
        const { token } = await (await fetch('/token', { method: 'POST' })).json()
        return (await fetch(${JSON.stringify(inboxUrl)}, { headers: { authorization: 'Bearer ' + token } })).status
      })()`
      expect([await bob.evaluate(status), await alice.evaluate(status)]).toEqual([200, 403])

      await bob.click('#logout')
      await bob.waitForFunction(() => document.querySelector('#enter')?.hidden === false)
      expect(await bob.locator('li').count()).toBe(0)
    } finally {
      await browser.close()
      await app.stop()
    }
  },
  180_000,
)
