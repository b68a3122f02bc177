/** References that nobody outside can follow: paths of one machine, numbers of an internal list. */
import type { Finding } from './finding.ts'
import type { Workspace } from './workspace.ts'

const PRIVATE: readonly { readonly pattern: RegExp; readonly message: string }[] = [
  { pattern: /\/work\//, message: 'a path of one machine: say what it holds instead' },
  { pattern: /\.\.\/shared\b/, message: 'a path outside the repository: say what it holds instead' },
  { pattern: /\bissues?\s*(#|no\.?\s*\d|\d)/i, message: 'a number nobody can look up: say what it is about' },
]

/** Looks at every text of the tree, line by line. */
export function checkPrivateReferences({ files }: Workspace): readonly Finding[] {
  return files.flatMap(({ path, text }) =>
    text.split('\n').flatMap((lineText, index) => {
      const found = PRIVATE.find(({ pattern }) => pattern.test(lineText))
      return found === undefined
        ? []
        : [{ path, line: index + 1, rule: 'private-reference', message: found.message }]
    }),
  )
}
