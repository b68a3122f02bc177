/** How each server under test is started. Nothing here knows what the servers do. */
import { join } from 'node:path'
import type { ServerCommand } from './server-process.ts'

/** The repository's root; the same from `src` and from `dist`. */
export const repositoryRoot: string = join(import.meta.dirname, '..', '..')

/** Clearly below the 5 s limit of the suite's tests, two of which wait for a real time-out. */
const longPollTimeoutMs = 400

/** The built `millrace serve` command on Node, on a port of the system's choice. */
export function nodeServer(storage: string): ServerCommand {
  const millrace = join(repositoryRoot, 'packages', 'cli', 'bin', 'millrace.js')
  const longPoll = ['--long-poll-timeout', `${longPollTimeoutMs}ms`]
  return {
    command: process.execPath,
    args: [millrace, 'serve', '--port', '0', '--storage', storage, ...longPoll],
    cwd: repositoryRoot,
  }
}

/** The web-standard fetch handler, from its sources, under `Bun.serve`. */
export function bunServer(storage: string): ServerCommand {
  const script = join(repositoryRoot, 'conformance', 'src', 'bun-server.ts')
  return {
    command: join(repositoryRoot, 'node_modules', '.bin', 'bun'),
    args: ['--conditions=millrace-source', script, storage, `${longPollTimeoutMs}`],
    cwd: repositoryRoot,
  }
}
