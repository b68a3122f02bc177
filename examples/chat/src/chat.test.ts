import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stream } from '@millrace/client'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { type AppProcess, startAppProcess } from './app-process.fixture.ts'
import { answerTo } from './fake-model.ts'
import { type ChatEvent, chatPath } from './page/chat-events.ts'
import { newChat } from './page/follow-chat.ts'
import { type Shelf, tokensIn, visit } from './page-visit.fixture.ts'

/** At this pace an answer takes a quarter of an hour: whatever a test does happens in the middle of one. */
const SLOW_MS = 10_000
const STEADY_MS = 250
const FAST_MS = 1

const QUESTION = 'Where does the water go?'
const ANSWER = answerTo(QUESTION)

let dataDir: string
let app: AppProcess
let shelf: Shelf

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'millrace-chat-test-'))
  shelf = { saved: newChat(randomUUID()) }
})

afterEach(async () => {
  await app.end('SIGKILL')
  await rm(dataDir, { recursive: true, force: true })
})

async function start(tokenMs: number): Promise<void> {
  app = await startAppProcess(dataDir, tokenMs)
}

const urlNow = (): string => app.url

function put(path: string, body?: string): Promise<Response> {
  return fetch(`${app.url}${path}`, { method: 'PUT', ...(body !== undefined && { body }) })
}

async function ask(text = QUESTION, id: string = randomUUID()): Promise<void> {
  const { chat } = shelf.saved
  expect((await put(`/chats/${chat}`)).status).toBe(200)
  expect((await put(`/chats/${chat}/questions/${id}`, text)).status).toBe(202)
}

async function storedEvents(): Promise<readonly ChatEvent[]> {
  const url = `${app.url}${chatPath(shelf.saved.chat)}`
  return (await stream<ChatEvent>({ url, live: false })).json<ChatEvent>()
}

/** Both what the page has shown and what is stored: every token once, in order. */
async function expectWholeAnswer(): Promise<void> {
  expect(tokensIn(await storedEvents())).toEqual(ANSWER.map((text, index) => [index, text]))
  expect(shelf.saved.transcript).toMatchObject([
    { question: QUESTION, answer: ANSWER.join(''), tokens: ANSWER.length, isAnswered: true },
  ])
}

it.each(['SIGKILL', 'SIGTERM'] as const)(
  'shows every token once and in order through reloads and a restart by %s',
  async (signal) => {
    const warn = vi.spyOn(console, 'warn')
    await start(STEADY_MS)
    await ask()
    const first = visit(shelf, urlNow)
    const atReload = await first.sees(({ tokens }) => tokens >= 3)
    await first.leave()
    expect(atReload.isAnswered).toBe(false)

    const second = visit(shelf, urlNow)
    const atRestart = await second.sees(({ tokens }) => tokens >= atReload.tokens + 6)
    expect(atRestart.isAnswered).toBe(false)
    expect(await app.end(signal)).toBe(signal === 'SIGTERM' ? 0 : null)

    await start(FAST_MS)
    await second.sees(({ isAnswered }) => isAnswered)
    await second.leave()
    await expectWholeAnswer()
    // Had the closing app let the reader connect again and again, the client would have given up on SSE.
    expect(warn).not.toHaveBeenCalled()
  },
)

it('shows what came while nobody was looking, after several restarts', async () => {
  await start(STEADY_MS)
  await ask()
  for (const wanted of [1, 2, 3]) {
    const page = visit(shelf, urlNow)
    await page.sees(({ tokens }) => tokens >= wanted)
    await page.leave()
    await app.end('SIGKILL')
    await start(STEADY_MS)
  }
  await app.end('SIGKILL')
  await start(FAST_MS)

  const page = visit(shelf, urlNow)
  await page.sees(({ isAnswered }) => isAnswered)
  await page.leave()
  await expectWholeAnswer()
})

it('answers a question that was stored right before the app was killed', async () => {
  await start(SLOW_MS)
  await ask()
  await app.end('SIGKILL')
  await start(FAST_MS)

  const page = visit(shelf, urlNow)
  await page.sees(({ isAnswered }) => isAnswered)
  await page.leave()
  await expectWholeAnswer()
})

it('stores a question once that is sent twice, and answers the next one after it', async () => {
  await start(FAST_MS)
  const id = randomUUID()
  await ask(QUESTION, id)
  await ask(QUESTION, id)
  await ask('And then?')

  const page = visit(shelf, urlNow)
  await page.sees(({ question, isAnswered }) => question === 'And then?' && isAnswered)
  await page.leave()
  expect(shelf.saved.transcript.map(({ question, answer }) => [question, answer])).toEqual([
    [QUESTION, ANSWER.join('')],
    ['And then?', answerTo('And then?').join('')],
  ])
})

it('serves the page with every module that it needs', async () => {
  await start(FAST_MS)
  const html = await (await fetch(app.url)).text()
  const map = JSON.parse(/<script type="importmap">([\s\S]*?)<\/script>/.exec(html)?.[1] ?? '')
  const waiting = [/<script type="module" src="([^"]+)"/.exec(html)?.[1] ?? '']
  const seen = new Set<string>()
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (seen.has(path)) continue
    seen.add(path)
    const response = await fetch(`${app.url}${path}`)
    expect([path, response.status]).toEqual([path, 200])
    expect(response.headers.get('content-type')).toMatch(/^text\/javascript/)
    const source = await response.text()
    for (const [, specifier = ''] of source.matchAll(/^(?:import|export)[^'"]*?from '([^']+)'/gm)) {
      waiting.push(map.imports[specifier] ?? new URL(specifier, `${app.url}${path}`).pathname)
    }
  }
  expect(seen).toContain('/client/index.js')
  expect(seen).toContain('/client/sse-parser.js')
})

it('lets browsers read the streams, and write nothing but questions', async () => {
  await start(SLOW_MS)
  await ask()
  const { chat } = shelf.saved
  const body = JSON.stringify({ kind: 'token', question: 'x', index: 0, text: 'forged' })
  const headers = { 'content-type': 'application/json' }

  const forged = await fetch(`${app.url}${chatPath(chat)}`, { method: 'POST', headers, body })
  const deleted = await fetch(`${app.url}${chatPath(chat)}`, { method: 'DELETE' })
  const outside = await fetch(`${app.url}/page/..%2fmain.js`)
  const index = await fetch(`${app.url}/v1/stream/chat-index`)

  expect([forged, deleted, outside, index].map(({ status }) => status)).toEqual([404, 404, 404, 404])
  expect((await storedEvents()).map(({ kind }) => kind)).toEqual(['question'])
  expect((await put(`/chats/${chat}/questions/${randomUUID()}`, ' ')).status).toBe(400)
  expect((await put(`/chats/${chat}/questions/${randomUUID()}`, 'x'.repeat(20_000))).status).toBe(413)
  expect((await put(`/chats/${randomUUID()}/questions/${randomUUID()}`, 'x')).status).toBe(404)
})
