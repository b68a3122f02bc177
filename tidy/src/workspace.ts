/** The tree as the rules see it: its files, its packages, and each module parsed at most once. */
import { type ModuleSyntax, parseModule } from './module-syntax.ts'
import { type PackageManifest, parseManifest } from './package-manifest.ts'
import { isCode, type SourceFile } from './source-file.ts'

/** A folder with a `package.json`. */
export interface WorkspacePackage extends PackageManifest {
  /** Path from the repository's root; empty for the root itself. */
  readonly folder: string
}

/** A file of code together with its syntax and the package that it belongs to. */
export interface CodeFile extends SourceFile {
  readonly syntax: ModuleSyntax
  readonly owner: WorkspacePackage | undefined
}

/** Everything that a rule may look at. */
export interface Workspace {
  readonly files: readonly SourceFile[]
  readonly code: readonly CodeFile[]
  readonly packages: readonly WorkspacePackage[]
  readonly root: WorkspacePackage | undefined
  /** The file of code at a path. */
  codeAt(path: string): CodeFile | undefined
}

/** Throws when a `package.json` is not JSON; everything else is left to the rules. */
export function readWorkspace(files: readonly SourceFile[]): Workspace {
  const packages = files.flatMap(({ path, text }) => {
    const folder = /^(?:(.*)\/)?package\.json$/.exec(path)
    return folder === null ? [] : [{ folder: folder[1] ?? '', ...parseManifest(path, text) }]
  })
  const code = files
    .filter(({ path }) => isCode(path))
    .map((file) => ({
      ...file,
      syntax: parseModule(file.path, file.text),
      owner: ownerOf(file.path, packages),
    }))
  const byPath = new Map(code.map((file) => [file.path, file]))
  return {
    files,
    code,
    packages,
    root: packages.find(({ folder }) => folder === ''),
    codeAt: (path) => byPath.get(path),
  }
}

/** Whether a path lies in a folder; every path lies in the root. */
export function isInside(path: string, folder: string): boolean {
  return folder === '' ? !path.startsWith('../') : path.startsWith(`${folder}/`)
}

/** The name of a package below `packages/`, such as `engine`; undefined for everything else. */
export function layerOf(owner: WorkspacePackage | undefined): string | undefined {
  return /^packages\/([^/]+)$/.exec(owner?.folder ?? '')?.[1]
}

function ownerOf(path: string, packages: readonly WorkspacePackage[]): WorkspacePackage | undefined {
  return packages
    .filter(({ folder }) => isInside(path, folder))
    .reduce<WorkspacePackage | undefined>(
      (best, next) => (best === undefined || next.folder.length > best.folder.length ? next : best),
      undefined,
    )
}
