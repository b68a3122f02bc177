/** What a complete run of the published suite looks like, and which test files run it. */

/** Tests of the suite that run against every server (0.3.6). */
export const executedTests = 332

/** Tests of the suite that it skips unless subscriptions are switched on. */
export const skippedTests = 6

/** The group which those skipped tests belong to. */
export const skippedGroup = 'Reserved subscription APIs'

/** Whether a test file is one row of the conformance matrix: `<runtime>-<storage>.test.ts`. */
export function isSuiteFile(file: string): boolean {
  return /^conformance\/src\/(node|bun)-[a-z0-9-]+\.test\.ts$/.test(file)
}

/** Whether it is a row on Node: those are the ones that count as enforcing a requirement. */
export function isNodeSuiteFile(file: string): boolean {
  return isSuiteFile(file) && file.startsWith('conformance/src/node-')
}
