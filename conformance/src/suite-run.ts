/**
 * One row of the conformance matrix: the published suite against one server process.
 * A row's file is named `<runtime>-<storage>.test.ts`; the requirements run counts its tests.
 */
import { rm } from 'node:fs/promises'
import { runConformanceTests } from '@durable-streams/server-conformance-tests'
import { afterAll, beforeAll } from 'vitest'
import { type ServerCommand, startServer } from './server-process.ts'

/**
 * Registers the suite's tests in the calling test file. The server starts before the first of them
 * and is gone after the last; a server that ended by itself meanwhile fails the file.
 */
export function runSuite(command: ServerCommand): void {
  runSuiteAgainst(async () => {
    const { url, stop } = await startServer(command)
    return {
      url,
      async stop() {
        await stop()
        if (command.temporaryFolder) await rm(command.temporaryFolder, { recursive: true, force: true })
      },
    }
  })
}

/** What a row's tests run against. */
export interface SuiteTarget {
  /** Origin without a trailing slash. */
  readonly url: string
  /** Called after the last test; the file fails when it rejects. */
  stop(): Promise<void>
}

/** The same against whatever `start` starts. */
export function runSuiteAgainst(start: () => Promise<SuiteTarget>): void {
  // Filled in by beforeAll: the suite reads `baseUrl` anew in each test.
  const options = { baseUrl: '' }
  let target: SuiteTarget | undefined

  beforeAll(async () => {
    target = await start()
    options.baseUrl = target.url
  }, 30_000)

  afterAll(() => target?.stop(), 10_000)

  runConformanceTests(options)
}
