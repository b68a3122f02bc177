/** All rules, and the one way to apply them. */
import { checkAmbientWorld } from './ambient-world.ts'
import { checkCommentMarks } from './comment-mark.ts'
import { checkDeclaredDependencies } from './declared-dependency.ts'
import { checkDefaultExports } from './default-export.ts'
import { checkExportDocs } from './export-doc.ts'
import { checkFileNames } from './file-name.ts'
import type { Finding } from './finding.ts'
import { checkImportDirection } from './import-direction.ts'
import { checkPrivateReferences } from './private-reference.ts'
import { checkSizes } from './size-limit.ts'
import type { SourceFile } from './source-file.ts'
import { checkTestMarks } from './test-mark.ts'
import { checkUnusedFiles } from './unused-file.ts'
import { checkVagueWords } from './vague-word.ts'
import { readWorkspace, type Workspace } from './workspace.ts'

const RULES: readonly ((workspace: Workspace) => readonly Finding[])[] = [
  checkSyntax,
  checkImportDirection,
  checkDeclaredDependencies,
  checkAmbientWorld,
  checkUnusedFiles,
  checkExportDocs,
  checkDefaultExports,
  checkFileNames,
  checkVagueWords,
  checkSizes,
  checkTestMarks,
  checkCommentMarks,
  checkPrivateReferences,
]

/** What all rules find in a tree, ordered by file and line. */
export function checkTree(files: readonly SourceFile[]): readonly Finding[] {
  const workspace = readWorkspace(files)
  return RULES.flatMap((check) => check(workspace)).sort(
    (a, b) => compare(a.path, b.path) || a.line - b.line || compare(a.rule, b.rule),
  )
}

/** The other rules see only what could be parsed. */
function checkSyntax({ code }: Workspace): readonly Finding[] {
  return code.flatMap(({ path, syntax }) =>
    syntax.error === undefined ? [] : [{ path, line: 1, rule: 'syntax', message: syntax.error }],
  )
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b)
}
