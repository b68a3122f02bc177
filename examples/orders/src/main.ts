/** `npm run example:orders`: runs the tour against the server of `--url`, or against one of its own. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { createServer, memoryStorage } from '@millrace/server'
import { runTour } from './tour.ts'

/** One attempt: the client would wait for a server that is down, as long as it takes. */
async function isReachable(url: string): Promise<boolean> {
  try {
    await fetch(url, { method: 'HEAD' })
    return true
  } catch {
    return false
  }
}

async function tourAt(url: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-orders-'))
  try {
    await runTour({ serverUrl: url.replace(/\/$/, ''), folder, print: (line) => console.log(line) })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function run(url: string | undefined): Promise<void> {
  if (url === undefined) {
    const server = await createServer({ storage: memoryStorage(), port: 0 })
    await tourAt(server.url).finally(() => server.close())
  } else if (await isReachable(url)) {
    await tourAt(url)
  } else {
    throw new UsageError(`No server answers at ${url}. Start one with "npm start", or leave --url out.`)
  }
}

/** The user can put it right. */
class UsageError extends Error {}

function readUrl(): string | undefined {
  try {
    return parseArgs({ options: { url: { type: 'string' } } }).values.url
  } catch (error) {
    throw new UsageError(`${error instanceof Error ? error.message : error}. Flags: --url <server>`)
  }
}

try {
  await run(readUrl())
} catch (error) {
  console.error(error instanceof UsageError ? error.message : error)
  process.exitCode = 1
}
