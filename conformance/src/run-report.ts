/** What one Vitest run did, read from its JSON report. Knows nothing of requirements. */
import { isAbsolute, relative, sep } from 'node:path'
import { asList, asRecord, asText } from './json-shape.ts'

/** How one test ended. A test that never finished counts as failed. */
export type TestStatus = 'passed' | 'failed' | 'skipped'

/** One test of the run. */
export interface TestResult {
  /** Path from the repository's root, with `/`. */
  readonly file: string
  /** The titles of the groups around it and its own, joined by ` > `. */
  readonly title: string
  readonly status: TestStatus
}

/** A test file that failed as a whole: it could not be loaded, or a hook threw. */
export interface BrokenFile {
  readonly file: string
  readonly message: string
}

/** The whole run. */
export interface RunReport {
  readonly tests: readonly TestResult[]
  readonly brokenFiles: readonly BrokenFile[]
}

/** Throws when the text is not a Vitest JSON report. Paths become relative to `root`. */
export function parseRunReport(text: string, root: string): RunReport {
  const { testResults } = asRecord(JSON.parse(text), 'the report')
  const tests: TestResult[] = []
  const brokenFiles: BrokenFile[] = []
  for (const entry of asList(testResults, 'testResults')) {
    const result = asRecord(entry, 'a test file')
    const file = repositoryPath(asText(result.name, 'the name of a test file'), root)
    const own = asList(result.assertionResults, file).map((item) => parseTest(item, file))
    tests.push(...own)
    const blamed = own.some((test) => test.status === 'failed')
    if (own.length === 0 || (result.status === 'failed' && !blamed)) {
      const message = typeof result.message === 'string' ? result.message : ''
      brokenFiles.push({ file, message: message === '' ? 'ran no test' : message })
    }
  }
  return { tests, brokenFiles }
}

function parseTest(value: unknown, file: string): TestResult {
  const item = asRecord(value, `a test of ${file}`)
  const groups = asList(item.ancestorTitles, `the groups of a test of ${file}`)
  const titles = [...groups, item.title].filter((title) => title !== '')
  const title = titles.map((part) => asText(part, `a title in ${file}`)).join(' > ')
  return { file, title, status: parseStatus(item.status) }
}

function parseStatus(status: unknown): TestStatus {
  switch (status) {
    case 'passed':
      return 'passed'
    case 'skipped':
    case 'todo':
      return 'skipped'
    default:
      return 'failed'
  }
}

function repositoryPath(path: string, root: string): string {
  const fromRoot = isAbsolute(path) ? relative(root, path) : path
  return fromRoot.split(sep).join('/')
}
