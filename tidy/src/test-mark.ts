/** Marks that make a test run report less than it seems to: skipped, singled-out and planned tests. */
import type { Finding } from './finding.ts'
import { type ESTree, rootName, Visitor } from './module-syntax.ts'
import type { Workspace } from './workspace.ts'

const TEST_NAMES: ReadonlySet<string> = new Set(['describe', 'suite', 'it', 'test', 'bench'])
const MARKS: ReadonlySet<string> = new Set(['skip', 'only', 'todo'])

/** `skipIf` and `runIf` are allowed: a test that needs a missing program says so and is counted. */
export function checkTestMarks({ code }: Workspace): readonly Finding[] {
  return code.flatMap(({ path, syntax }) =>
    findMarks(syntax.program).map(({ mark, start }) => ({
      path,
      line: syntax.lineAt(start),
      rule: 'test-mark',
      message: `take away "${mark}": a test runs, or it is not there`,
    })),
  )
}

interface Mark {
  readonly mark: string
  readonly start: number
}

function findMarks(program: ESTree.Program): readonly Mark[] {
  const found: Mark[] = []
  const keep = (mark: string | undefined, start: number): void => {
    if (mark !== undefined && MARKS.has(mark)) found.push({ mark, start })
  }
  new Visitor({
    MemberExpression: (node) => {
      if (TEST_NAMES.has(rootName(node.object) ?? '')) keep(memberName(node), node.property.start)
    },
    CallExpression: (node) => {
      if (!TEST_NAMES.has(rootName(node.callee) ?? '')) return
      for (const { name, start } of optionNames(node)) keep(name, start)
    },
  }).visit(program)
  return found
}

function memberName({ property }: ESTree.MemberExpression): string | undefined {
  return property.type === 'Identifier' ? property.name : undefined
}

function optionNames({ arguments: args }: ESTree.CallExpression): readonly { name: string; start: number }[] {
  return args.flatMap((argument) => {
    if (argument.type !== 'ObjectExpression') return []
    return argument.properties.flatMap((property) =>
      property.type === 'Property' && property.key.type === 'Identifier'
        ? [{ name: property.key.name, start: property.start }]
        : [],
    )
  })
}
