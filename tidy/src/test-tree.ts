/** Small trees for the tests of the rules: a path and a text each, nothing on disk. */
import type { Finding } from './finding.ts'
import { readWorkspace, type Workspace } from './workspace.ts'

/** A tree: texts by path. */
export type TestTree = Readonly<Record<string, string>>

/** The manifest of a package that exports its index. */
export function manifest(name: string, more: object = {}): string {
  return JSON.stringify({ name, exports: { '.': { default: './dist/index.js' } }, ...more })
}

/** What one rule finds in a tree, as `path:line`. */
export function placesFound(check: (workspace: Workspace) => readonly Finding[], tree: TestTree): string[] {
  return findIn(check, tree).map(({ path, line }) => `${path}:${line}`)
}

/** What one rule finds in a tree, as messages. */
export function messagesFound(check: (workspace: Workspace) => readonly Finding[], tree: TestTree): string[] {
  return findIn(check, tree).map(({ message }) => message)
}

function findIn(check: (workspace: Workspace) => readonly Finding[], tree: TestTree): readonly Finding[] {
  return check(readWorkspace(Object.entries(tree).map(([path, text]) => ({ path, text }))))
}
