/** Everything that a package offers says what it promises: a doc comment at each declaration. */
import type { Finding } from './finding.ts'
import type { Comment, ESTree, ExportEntry } from './module-syntax.ts'
import { resolveRelative } from './source-file.ts'
import { type CodeFile, layerOf, type Workspace } from './workspace.ts'

/** Follows re-exports to the declaration; what comes from another package is that one's to document. */
export function checkExportDocs(workspace: Workspace): readonly Finding[] {
  const found = new Map<string, Finding>()
  for (const index of workspace.code) {
    if (layerOf(index.owner) === undefined || index.path !== `${index.owner?.folder}/src/index.ts`) continue
    for (const declaration of exportedDeclarations(index, undefined, workspace, new Set())) {
      if (declaration.documented) continue
      const { path, line, name } = declaration
      const message = `${name} is exported without a doc comment: say what it promises`
      found.set(`${path}:${name}`, { path, line, rule: 'export-doc', message })
    }
  }
  return [...found.values()]
}

interface Declaration {
  readonly path: string
  readonly line: number
  readonly name: string
  readonly documented: boolean
}

/** The declarations behind one exported name of a file, or behind all of them when none is given. */
function exportedDeclarations(
  file: CodeFile,
  wanted: string | undefined,
  workspace: Workspace,
  seen: Set<string>,
): readonly Declaration[] {
  const key = `${file.path} ${wanted ?? '*'}`
  if (seen.has(key)) return []
  seen.add(key)
  return file.syntax.exports.flatMap((entry) => {
    const name = entry.exportName.name
    const isStar = name === null && entry.moduleRequest !== null
    if (!isStar && wanted !== undefined && name !== wanted) return []
    if (entry.moduleRequest === null) return localDeclarations(file, entry.localName.name ?? name)
    const source = workspace.codeAt(resolveRelative(file.path, entry.moduleRequest.value))
    if (!entry.moduleRequest.value.startsWith('.') || source === undefined) return []
    return exportedDeclarations(source, isStar ? wanted : importedName(entry), workspace, seen)
  })
}

/** The name in the other module; undefined for `* as name`, which stands for all of it. */
function importedName({ importName }: ExportEntry): string | undefined {
  return importName.name ?? undefined
}

/** A name may be declared more than once (overloads, a type beside a value): one comment is enough. */
function localDeclarations({ path, text, syntax }: CodeFile, name: string | null): readonly Declaration[] {
  const statements = syntax.program.body.filter((node) => name !== null && declaredNames(node).includes(name))
  const [first] = statements
  if (first === undefined || name === null) return []
  const documented = statements.some(({ start }) => hasDocComment(text, syntax.comments, start))
  return [{ path, line: syntax.lineAt(first.start), name, documented }]
}

function declaredNames(node: ESTree.Directive | ESTree.Statement): readonly string[] {
  switch (node.type) {
    case 'ExportNamedDeclaration':
      return node.declaration === null ? [] : declaredNames(node.declaration)
    case 'VariableDeclaration':
      return node.declarations.flatMap(({ id }) => (id.type === 'Identifier' ? [id.name] : []))
    case 'FunctionDeclaration':
    case 'TSDeclareFunction':
    case 'ClassDeclaration':
      return node.id === null ? [] : [node.id.name]
    case 'TSInterfaceDeclaration':
    case 'TSTypeAliasDeclaration':
    case 'TSEnumDeclaration':
      return [node.id.name]
    default:
      return []
  }
}

/** The comment stands on the lines right above; with an empty line between, it is the file's header. */
function hasDocComment(text: string, comments: readonly Comment[], start: number): boolean {
  const above = comments.filter(({ end }) => end <= start).sort((a, b) => b.end - a.end)
  let border = start
  for (const comment of above) {
    const gap = text.slice(comment.end, border)
    if (gap.trim() !== '' || gap.split('\n').length > 2) return false
    if (comment.type === 'Block' && comment.value.startsWith('*')) return true
    border = comment.start
  }
  return false
}
