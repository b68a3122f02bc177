/** Files of code are called by one to three words in kebab-case. */
import type { Finding } from './finding.ts'
import { fileName, isCode } from './source-file.ts'
import type { Workspace } from './workspace.ts'

const MARK = /\.(test|fixture|config|d)$/
const KEBAB = /^[a-z][a-z0-9]*(-[a-z0-9]+){0,2}$/

/** `.test`, `.fixture`, `.config` and `.d` before the ending are not part of the name. */
export function checkFileNames({ files }: Workspace): readonly Finding[] {
  return files.flatMap(({ path }) => {
    if (!isCode(path)) return []
    const name = fileName(path)
      .replace(/\.[a-z]+$/, '')
      .replace(MARK, '')
    if (KEBAB.test(name)) return []
    return [{ path, line: 1, rule: 'file-name', message: 'use one to three words in kebab-case' }]
  })
}
