/** No file that nothing leads to: what a package delivers is reached from its entry points. */
import type { Finding } from './finding.ts'
import { isTest, isTestOnly, resolveRelative } from './source-file.ts'
import { isInside, layerOf, type Workspace, type WorkspacePackage } from './workspace.ts'

/** Follows relative imports only: other packages are reached through their own entry points. */
export function checkUnusedFiles(workspace: Workspace): readonly Finding[] {
  return workspace.packages
    .filter((owner) => layerOf(owner) !== undefined)
    .flatMap((owner) => checkPackage(owner, workspace))
}

function checkPackage(owner: WorkspacePackage, workspace: Workspace): readonly Finding[] {
  const source = `${owner.folder}/src`
  const paths = workspace.code.map(({ path }) => path).filter((path) => isInside(path, source))
  const delivered = reachedFrom(entryPoints(owner), workspace)
  const tested = reachedFrom(paths.filter(isTest), workspace)
  return paths
    .filter((path) => !isTest(path) && !path.endsWith('.d.ts'))
    .filter((path) => !(isTestOnly(path) ? tested : delivered).has(path))
    .map((path) => {
      const from = isTestOnly(path) ? 'no test' : 'no entry point of its package'
      return { path, line: 1, rule: 'unused-file', message: `${from} leads to it: use it or delete it` }
    })
}

/** Sources of what `exports` names, and `src/main.ts` of a package with a command. */
function entryPoints({ folder, exportTargets, hasBin }: WorkspacePackage): readonly string[] {
  const exported = exportTargets.map((target) =>
    resolveRelative(`${folder}/package.json`, target)
      .replace(`${folder}/dist/`, `${folder}/src/`)
      .replace(/(\.d)?\.[cm]?[jt]s$/, '.ts'),
  )
  return hasBin ? [...exported, `${folder}/src/main.ts`] : exported
}

function reachedFrom(starts: readonly string[], workspace: Workspace): ReadonlySet<string> {
  const reached = new Set<string>()
  const waiting = [...starts]
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    const file = workspace.codeAt(path)
    if (file === undefined || reached.has(path)) continue
    reached.add(path)
    const relative = file.syntax.imports.filter(({ specifier }) => specifier.startsWith('.'))
    // A URL of a worker is written with the ending that it has once built.
    for (const { specifier } of relative) {
      waiting.push(resolveRelative(path, specifier).replace(/\.js$/, '.ts'))
    }
  }
  return reached
}
