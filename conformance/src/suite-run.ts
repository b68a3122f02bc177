/**
 * One row of the conformance matrix: the published suite against one server process.
 * A row's file is named `<runtime>-<storage>.test.ts`; the requirements run counts its tests.
 */
import { rm } from 'node:fs/promises'
import { runConformanceTests } from '@durable-streams/server-conformance-tests'
import { afterAll, beforeAll } from 'vitest'
import { type ServerCommand, type ServerProcess, startServer } from './server-process.ts'

/**
 * Registers the suite's tests in the calling test file. The server starts before the first of them
 * and is gone after the last; a server that ended by itself meanwhile fails the file.
 */
export function runSuite(command: ServerCommand): void {
  // Filled in by beforeAll: the suite reads `baseUrl` anew in each test.
  const options = { baseUrl: '' }
  let server: ServerProcess | undefined

  beforeAll(async () => {
    server = await startServer(command)
    options.baseUrl = server.url
  }, 30_000)

  afterAll(async () => {
    await server?.stop()
    if (command.temporaryFolder) await rm(command.temporaryFolder, { recursive: true, force: true })
  }, 10_000)

  runConformanceTests(options)
}
