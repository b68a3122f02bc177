/** Files and functions stay small enough to be read at once. */
import type { Finding } from './finding.ts'
import { type ESTree, rootName, Visitor } from './module-syntax.ts'
import { isTest } from './source-file.ts'
import type { CodeFile, Workspace } from './workspace.ts'

const FILE_LINES = 400
const TEST_FILE_LINES = 600
const FUNCTION_LINES = 60
const TEST_CALLS: ReadonlySet<string> = new Set(['describe', 'suite', 'it', 'test'])

const rule = 'size-limit'

/** Looks at every file of code and every function in it. */
export function checkSizes({ code }: Workspace): readonly Finding[] {
  return code.flatMap((file) => [...checkFile(file), ...checkFunctions(file)])
}

function checkFile({ path, text }: CodeFile): readonly Finding[] {
  const limit = isTest(path) ? TEST_FILE_LINES : FILE_LINES
  const lines = text.split('\n').length - (text.endsWith('\n') ? 1 : 0)
  if (lines <= limit) return []
  const message = `${lines} lines, ${limit} are allowed: split it by concept`
  return [{ path, line: limit + 1, rule, message }]
}

interface OpenFunction {
  readonly start: number
  readonly end: number
  /** A function that registers tests is a list of them, not one piece to be read. */
  registersTests: boolean
}

function checkFunctions({ path, syntax }: CodeFile): readonly Finding[] {
  const findings: Finding[] = []
  const open: OpenFunction[] = []
  const enter = ({ start, end }: ESTree.Span): void => {
    open.push({ start, end, registersTests: false })
  }
  const exit = (): void => {
    const closed = open.pop()
    if (closed === undefined || closed.registersTests) return
    const line = syntax.lineAt(closed.start)
    const lines = syntax.lineAt(closed.end) - line + 1
    if (lines <= FUNCTION_LINES) return
    const message = `a function of ${lines} lines, ${FUNCTION_LINES} are allowed: give its parts names`
    findings.push({ path, line, rule, message })
  }
  new Visitor({
    FunctionDeclaration: enter,
    'FunctionDeclaration:exit': exit,
    FunctionExpression: enter,
    'FunctionExpression:exit': exit,
    ArrowFunctionExpression: enter,
    'ArrowFunctionExpression:exit': exit,
    CallExpression: ({ callee }) => {
      const innermost = open.at(-1)
      if (innermost !== undefined && TEST_CALLS.has(rootName(callee) ?? '')) innermost.registersTests = true
    },
  }).visit(syntax.program)
  return findings
}
