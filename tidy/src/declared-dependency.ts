/** Each imported package stands in the `package.json` of the package that imports it. */
import type { Finding } from './finding.ts'
import { packageNameOf } from './import-direction.ts'
import { isTestOnly } from './source-file.ts'
import { type CodeFile, layerOf, type Workspace } from './workspace.ts'

/** Delivered code needs a dependency; tests and private workspaces may use development ones, also the root's. */
export function checkDeclaredDependencies(workspace: Workspace): readonly Finding[] {
  return workspace.code.flatMap((file) =>
    file.syntax.imports.flatMap(({ specifier, line }) => {
      if (/^(\.|node:|bun:)/.test(specifier)) return []
      const name = packageNameOf(specifier)
      if (name === file.owner?.name || isDeclared(name, file, workspace)) return []
      const where = file.owner?.folder === '' ? '' : `${file.owner?.folder}/`
      const message = `${name} is not declared: add it to ${where}package.json`
      return [{ path: file.path, line, rule: 'declared-dependency', message }]
    }),
  )
}

function isDeclared(name: string, { path, owner }: CodeFile, { root }: Workspace): boolean {
  if (owner?.dependencies.has(name) === true) return true
  const isDelivered = layerOf(owner) !== undefined && !isTestOnly(path)
  if (isDelivered) return false
  return owner?.devDependencies.has(name) === true || root?.devDependencies.has(name) === true
}
