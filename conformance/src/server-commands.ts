/** How each server under test is started: the real command, on either runtime, on a port of the system's choice. */
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ServerCommand } from './server-process.ts'

/** The repository's root; the same from `src` and from `dist`. */
export const repositoryRoot: string = join(import.meta.dirname, '..', '..')

/** `millrace serve` on Node: the node adapter. */
export function nodeServer(storage: string): ServerCommand {
  return serverOn(process.execPath, storage)
}

/** `millrace serve` on Bun: the fetch handler under `Bun.serve`. */
export function bunServer(storage: string): ServerCommand {
  return serverOn(join(repositoryRoot, 'node_modules', '.bin', 'bun'), storage)
}

function serverOn(command: string, storage: string): ServerCommand {
  const millrace = join(repositoryRoot, 'packages', 'cli', 'bin', 'millrace.js')
  // Clearly below the 5 s limit of the suite's tests, two of which wait for a real time-out.
  const args = [millrace, 'serve', '--port', '0', '--storage', storage, '--long-poll-timeout', '400ms']
  if (storage === 'memory') return { command, args, cwd: repositoryRoot }
  const dataDir = mkdtempSync(join(tmpdir(), 'millrace-conformance-'))
  return { command, args: [...args, '--data-dir', dataDir], cwd: repositoryRoot, temporaryFolder: dataDir }
}
