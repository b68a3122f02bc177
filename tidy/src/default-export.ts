/** No default exports: a thing has one name wherever it is used. */
import type { Finding } from './finding.ts'
import { Visitor } from './module-syntax.ts'
import type { Workspace } from './workspace.ts'

/** Configuration files are exempt: the tools that load them ask for a default export. */
export function checkDefaultExports({ code }: Workspace): readonly Finding[] {
  return code.flatMap(({ path, syntax }) => {
    if (/\.config\.[a-z]+$/.test(path)) return []
    const found: number[] = syntax.exports
      .filter(({ exportName }) => exportName.name === 'default')
      .map(({ start }) => start)
    new Visitor({ ExportDefaultDeclaration: ({ start }) => void found.push(start) }).visit(syntax.program)
    const message = 'export it under its name'
    return found.map((start) => ({ path, line: syntax.lineAt(start), rule: 'default-export', message }))
  })
}
