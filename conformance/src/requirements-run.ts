/**
 * The gate: runs every test once, prints which requirement is enforced by which test that passed,
 * and fails when one is not. A test that lacks a program is skipped and named; with MILLRACE_REQUIRE_ALL=1 it fails.
 * `--from FILE` judges an earlier report, `--json` prints the result as JSON.
 */
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { readRequirements } from './requirement-list.ts'
import { buildTable, unknownIds } from './requirement-table.ts'
import { parseRunReport } from './run-report.ts'
import { countTests, findProblems, skippedForWant } from './run-verdict.ts'
import { repositoryRoot } from './server-commands.ts'
import { isSuiteFile } from './suite-facts.ts'
import { formatCounts, formatSummary, formatTable } from './table-text.ts'

const reportPath = join(repositoryRoot, 'test-results', 'report.json')

/** Returns what Vitest itself had to complain about; failed tests are in its report. */
function runVitest(quiet: boolean): readonly string[] {
  rmSync(reportPath, { force: true })
  const vitest = join(repositoryRoot, 'node_modules', 'vitest', 'vitest.mjs')
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${reportPath}`]
  const { status, signal } = spawnSync(process.execPath, [vitest, 'run', ...reporters], {
    cwd: repositoryRoot,
    stdio: ['ignore', quiet ? process.stderr.fd : 'inherit', 'inherit'],
  })
  return status === 0 ? [] : [`Vitest ended with ${signal ?? `code ${status}`}`]
}

/** The rows of the conformance matrix that exist on disk: each of them has to be in the report. */
function listSuiteFiles(): readonly string[] {
  const names = readdirSync(join(repositoryRoot, 'conformance', 'src'))
  return names.map((name) => `conformance/src/${name}`).filter(isSuiteFile)
}

function main(): void {
  const options = { from: { type: 'string' }, json: { type: 'boolean', default: false } } as const
  const { from, json } = parseArgs({ options }).values
  const complaints = from === undefined ? runVitest(json) : []

  const requirements = readRequirements()
  const report = parseRunReport(readFileSync(from ?? reportPath, 'utf8'), repositoryRoot)
  const rows = buildTable(requirements, report)
  const requireAll = process.env.MILLRACE_REQUIRE_ALL === '1'
  const problems = [...complaints, ...findProblems(rows, report, listSuiteFiles(), requireAll)]
  const counts = countTests(report)

  process.exitCode = problems.length === 0 ? 0 : 1
  if (json) {
    console.log(JSON.stringify({ counts, problems, rows }, null, 2))
    return
  }
  console.log(formatTable(rows))
  console.log()
  for (const id of unknownIds(requirements, report)) console.log(`note: a test names ${id}: not listed`)
  for (const skip of skippedForWant(report)) console.log(`note: ${skip}`)
  for (const problem of problems) console.log(`problem: ${problem}`)
  console.log(formatSummary(rows))
  console.log(formatCounts(counts))
}

main()
