/** Checks the repository that it lies in: one line for each finding, exit code 1 when there is one. */
import { join } from 'node:path'
import { formatFinding } from './finding.ts'
import { readTree } from './read-tree.ts'
import { checkTree } from './rule-set.ts'

const files = readTree(join(import.meta.dirname, '..', '..'))
const findings = checkTree(files)
for (const finding of findings) console.log(formatFinding(finding))
console.log(`tidy: ${files.length} files, ${findings.length === 0 ? 'no' : findings.length} findings`)
process.exitCode = findings.length === 0 ? 0 : 1
