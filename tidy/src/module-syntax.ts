/** The syntax of one module: its tree, its comments, what it imports and exports. The only user of the parser. */
import { type ESTree, type ParseResult, parseSync, Visitor } from 'rolldown/utils'

/** The syntax tree's types, and the walk over it: passed on so that rules need not name the parser. */
export { type ESTree, Visitor }

/** A comment with its text, without the marks around it. */
export type Comment = ParseResult['comments'][number]

/** One name that a module exports. */
export type ExportEntry = ParseResult['module']['staticExports'][number]['entries'][number]

/** One `import`, `export … from`, `import()` or `new URL('./…', import.meta.url)`. */
export interface ImportReference {
  readonly specifier: string
  readonly line: number
  /** A URL names the built file: the compiler does not rewrite its ending. */
  readonly byUrl: boolean
}

/** A parsed module. Offsets count UTF-16 units from the start of the text. */
export interface ModuleSyntax {
  readonly program: ESTree.Program
  readonly comments: readonly Comment[]
  readonly imports: readonly ImportReference[]
  readonly exports: readonly ExportEntry[]
  /** What the parser could not read; with an error, the rest may be incomplete. */
  readonly error: string | undefined
  /** The line of an offset, counted from 1. */
  lineAt(offset: number): number
}

/** Never throws: a text that is no module comes back with its `error`. */
export function parseModule(path: string, text: string): ModuleSyntax {
  const parsed = parseSync(path, text, { preserveParens: false })
  const { program, module } = parsed
  const lineAt = lineFinder(text)
  const requests = [
    ...module.staticImports.map(({ moduleRequest }) => moduleRequest),
    ...module.staticExports.flatMap(({ entries }) => entries.map(({ moduleRequest }) => moduleRequest)),
    ...laterImports(program),
  ]
  return {
    program,
    comments: parsed.comments,
    imports: requests.flatMap((request) => (request === null ? [] : [importReference(request, lineAt)])),
    exports: module.staticExports.flatMap(({ entries }) => entries),
    error: parsed.errors[0]?.message,
    lineAt,
  }
}

/** The identifier that a chain of members and calls starts with: `test` of `test.each(rows)`. */
export function rootName(expression: ESTree.Expression | ESTree.Super): string | undefined {
  switch (expression.type) {
    case 'Identifier':
      return expression.name
    case 'MemberExpression':
      return rootName(expression.object)
    case 'CallExpression':
      return rootName(expression.callee)
    case 'TaggedTemplateExpression':
      return rootName(expression.tag)
    default:
      return undefined
  }
}

interface Request {
  readonly value: string
  readonly start: number
  readonly byUrl?: boolean
}

function importReference({ value, start, byUrl }: Request, lineAt: ModuleSyntax['lineAt']): ImportReference {
  return { specifier: value, line: lineAt(start), byUrl: byUrl === true }
}

/** Modules that are named by an expression or a type: `import()`, `import('…').T`, `new URL('./…', …)`. */
function laterImports(program: ESTree.Program): readonly Request[] {
  const found: Request[] = []
  const keep = (node: { readonly type: string } | null | undefined): void => {
    if (isStringLiteral(node)) found.push(node)
  }
  new Visitor({
    ImportExpression: ({ source }) => keep(source),
    TSImportType: ({ source }) => keep(source),
    NewExpression: ({ callee, arguments: [url] }) => {
      const isUrl = callee.type === 'Identifier' && callee.name === 'URL'
      if (isUrl && isStringLiteral(url) && /^\.\.?\/.*\.[jt]s$/.test(url.value)) {
        found.push({ value: url.value, start: url.start, byUrl: true })
      }
    },
  }).visit(program)
  return found
}

function isStringLiteral(node: object | null | undefined): node is Request {
  return node !== null && node !== undefined && 'value' in node && typeof node.value === 'string'
}

function lineFinder(text: string): (offset: number) => number {
  const starts = [0]
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) starts.push(at + 1)
  return (offset) => {
    let low = 0
    let high = starts.length
    while (high - low > 1) {
      const middle = (low + high) >> 1
      if ((starts[middle] ?? 0) <= offset) low = middle
      else high = middle
    }
    return low + 1
  }
}
