/** Words that name no thing: what carries one becomes a drawer for everything. */
import type { Finding } from './finding.ts'
import { Visitor } from './module-syntax.ts'
import { fileName } from './source-file.ts'
import type { CodeFile, Workspace } from './workspace.ts'

const VAGUE_WORDS: ReadonlySet<string> = new Set([
  'util',
  'utils',
  'helper',
  'helpers',
  'manager',
  'managers',
  'common',
  'misc',
  'base',
  'impl',
  'service',
  'services',
  'core',
  'shared',
  'types',
])

const rule = 'vague-word'

/** Looks at the names of folders, files and classes. */
export function checkVagueWords({ files, code }: Workspace): readonly Finding[] {
  return [...files.flatMap(({ path }) => checkPath(path)), ...code.flatMap(checkClasses)]
}

/** The words of a kebab-case, snake_case or CamelCase name, in lower case. */
export function wordsOf(name: string): readonly string[] {
  const spaced = name.replace(/([a-z0-9])([A-Z])/g, '$1 $2').replace(/([A-Z])([A-Z][a-z])/g, '$1 $2')
  return spaced
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter((word) => word !== '')
}

function checkPath(path: string): readonly Finding[] {
  // The names of JSON files are mostly prescribed by the tools that read them.
  const parts = fileName(path).endsWith('.json') ? path.split('/').slice(0, -1) : path.split('/')
  const word = parts.flatMap(wordsOf).find((part) => VAGUE_WORDS.has(part))
  if (word === undefined) return []
  return [{ path, line: 1, rule, message: `"${word}" in a path says nothing: name it for what it holds` }]
}

function checkClasses({ path, syntax }: CodeFile): readonly Finding[] {
  const findings: Finding[] = []
  const check = (node: { readonly id: { readonly name: string; readonly start: number } | null }): void => {
    if (node.id === null) return
    const word = wordsOf(node.id.name).find((part) => VAGUE_WORDS.has(part))
    if (word === undefined) return
    const message = `"${word}" in the class name ${node.id.name} says nothing: name it for what it does`
    findings.push({ path, line: syntax.lineAt(node.id.start), rule, message })
  }
  new Visitor({ ClassDeclaration: check, ClassExpression: check }).visit(syntax.program)
  return findings
}
