/** Headless Chromium with the client, as a page loads it: modules from one origin, streams on another. */
import { spawnSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { createServer, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { type Browser, chromium, type Page } from 'playwright-core'
import { repositoryRoot } from './server-commands.ts'

/** The Debian package and the program have one name. */
const executablePath = spawnSync('sh', ['-c', 'command -v chromium'], { encoding: 'utf8' }).stdout.trim()

// Where every test has to run, one that cannot is a failure.
export const mayBrowse: boolean = executablePath !== '' || process.env.MILLRACE_REQUIRE_ALL === '1'
if (!mayBrowse) console.warn('Nothing is tested in a browser: chromium is not installed')

/** The caller closes it. Certificates are not checked. */
export function launchBrowser(): Promise<Browser> {
  // Chromium's own sandbox cannot be had by root or in most containers; the pages are all ours.
  return chromium.launch({ executablePath, chromiumSandbox: false })
}

/** A page with the client in it, or one of the client's modules. */
export interface Site {
  readonly url: string
  close(): Promise<void>
}

const PAGE = `<!doctype html><meta charset="utf-8" /><title>Client</title><script type="module">
  import * as millrace from '/client/index.js'
  Object.assign(window, { millrace })
</script>`

/** Serves an empty page that has the client in `window.millrace`. */
export async function startSite(): Promise<Site> {
  const server = createServer((request, response) => {
    answer(request.url ?? '/', response).catch((error: unknown) => response.destroy(toError(error)))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the site has no port')
  return {
    url: `http://127.0.0.1:${address.port}/`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

async function answer(url: string, response: ServerResponse): Promise<void> {
  const [, file] = /^\/client\/([a-z0-9-]+\.js)$/.exec(url) ?? []
  if (file === undefined) {
    response.writeHead(url === '/' ? 200 : 404, { 'Content-Type': 'text/html; charset=utf-8' })
    response.end(url === '/' ? PAGE : '')
    return
  }
  const source = await readFile(join(repositoryRoot, 'packages', 'client', 'dist', file))
  response.writeHead(200, { 'Content-Type': 'text/javascript; charset=utf-8' })
  response.end(source)
}

function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown))
}

/** Opens the site and resolves once the client is there. */
export async function openPage(browser: Browser, site: Site): Promise<Page> {
  const context = await browser.newContext({ ignoreHTTPSErrors: true })
  const page = await context.newPage()
  await page.goto(site.url)
  await page.waitForFunction('window.millrace !== undefined')
  return page
}

/** A tab that is really hidden while another one is in front, as Playwright's own never are. */
export interface Tab {
  evaluate(expression: string): Promise<unknown>
  /** Resolves once an expression is true. */
  until(expression: string): Promise<void>
  toFront(): Promise<void>
}

/** What a tab answers to a command of the DevTools protocol. */
interface Answer {
  readonly id: number
  readonly result?: unknown
  readonly error?: { readonly message: string }
}

function undefinedIfNavigated(error: unknown): undefined {
  if (!/navigated|context/.test(String(error))) throw error
}

/** Opens tabs in one window of a browser. */
export async function tabsOf(browser: Browser): Promise<(url: string) => Promise<Tab>> {
  const devtools = await browser.newBrowserCDPSession()
  const waiting = new Map<number, (answer: Answer) => void>()
  let lastId = 0
  devtools.on('Target.receivedMessageFromTarget', ({ message }) => {
    const answer = JSON.parse(message) as Answer
    waiting.get(answer.id)?.(answer)
  })
  const ask = (sessionId: string, method: string, params: object): Promise<unknown> =>
    new Promise((resolve, reject) => {
      lastId += 1
      waiting.set(lastId, ({ result, error }) => {
        if (error === undefined) resolve(result)
        else reject(new Error(error.message))
      })
      const message = JSON.stringify({ id: lastId, method, params })
      devtools.send('Target.sendMessageToTarget', { sessionId, message }).catch(reject)
    })
  return async (url) => {
    const { targetId } = await devtools.send('Target.createTarget', { url })
    const { sessionId } = await devtools.send('Target.attachToTarget', { targetId, flatten: false })
    const evaluate = async (expression: string): Promise<unknown> => {
      const params = { expression, returnByValue: true, awaitPromise: true }
      const { result, exceptionDetails } = (await ask(sessionId, 'Runtime.evaluate', params)) as {
        readonly result: { readonly value?: unknown }
        readonly exceptionDetails?: unknown
      }
      if (exceptionDetails !== undefined) throw new Error(JSON.stringify(exceptionDetails))
      return result.value
    }
    return {
      evaluate,
      async until(expression) {
        const found = (): Promise<unknown> =>
          evaluate(`new Promise((resolve) => {
            const look = () => (${expression}) ? resolve(true) : setTimeout(look, 10)
            look()
          })`)
        // A new tab has an empty page first: who looks there is sent away when the real one comes.
        while ((await found().catch(undefinedIfNavigated)) !== true);
      },
      async toFront() {
        await devtools.send('Target.activateTarget', { targetId })
      },
    }
  }
}
