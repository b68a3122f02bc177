/** The chat example as somebody uses it: a page in headless Chromium that is reloaded while an answer comes. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { launchBrowser, mayBrowse } from './browser.fixture.ts'
import { repositoryRoot } from './server-commands.ts'
import { startServer } from './server-process.ts'

declare const document: {
  querySelector(selector: string): { readonly textContent: string | null } | null
}

it.skipIf(!mayBrowse)('a chat goes on where it was when its page is reloaded (needs chromium)', async () => {
  const temporaryFolder = await mkdtemp(join(tmpdir(), 'millrace-chat-page-'))
  const program = join(repositoryRoot, 'examples', 'chat', 'dist', 'main.js')
  const flags = ['--port', '0', '--data-dir', temporaryFolder, '--token-ms', '40']
  const app = await startServer({
    command: process.execPath,
    args: [program, ...flags],
    cwd: repositoryRoot,
  })
  const browser = await launchBrowser()
  try {
    const page = await browser.newPage()
    await page.goto(app.url)
    await page.fill('#question', 'Where does the water go?')
    await page.click('#send:not([disabled])')
    await page.waitForFunction(() => (document.querySelector('article p')?.textContent ?? '').length > 20)
    const before = await page.textContent('article p')
    await page.reload()
    // What was shown is there again at once, and the rest follows it.
    await page.waitForSelector('article p')
    expect((await page.textContent('article p'))?.startsWith(before ?? '?')).toBe(true)
    await page.waitForSelector('article[data-answered="true"]')
    const whole = await page.textContent('article p')
    await page.reload()
    await page.waitForSelector('article[data-answered="true"]')
    expect(await page.textContent('article p')).toBe(whole)
    expect(whole?.length).toBeGreaterThan(before?.length ?? 0)
    expect(await page.locator('article').count()).toBe(1)
  } finally {
    await browser.close()
    await app.stop()
    await rm(temporaryFolder, { recursive: true, force: true })
  }
})
