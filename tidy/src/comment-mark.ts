/** Comments that put something off or switch a check off without saying why. */
import type { Finding } from './finding.ts'
import type { Workspace } from './workspace.ts'

const PUT_OFF = /\b(TODO|FIXME|XXX)\b/
const CHECK_OFF = /@ts-(ignore|nocheck)\b/
const SUPPRESSION = /\bbiome-ignore(-all|-start|-end)?\b/
const REASONED_SUPPRESSION = /\bbiome-ignore(-all|-start|-end)?\s+[^\s:]+\s*:\s*\S/

/** Looks at comments only: the same words in a string are data. */
export function checkCommentMarks({ code }: Workspace): readonly Finding[] {
  return code.flatMap(({ path, syntax }) =>
    syntax.comments.flatMap(({ value, start }) => {
      const message = problemIn(value)
      return message === undefined
        ? []
        : [{ path, line: syntax.lineAt(start), rule: 'comment-mark', message }]
    }),
  )
}

function problemIn(comment: string): string | undefined {
  const putOff = PUT_OFF.exec(comment)
  if (putOff !== null) return `do it or leave it out: no ${putOff[0]} comments`
  const checkOff = CHECK_OFF.exec(comment)
  if (checkOff !== null) return `${checkOff[0]} hides every error: put the type right`
  if (SUPPRESSION.test(comment) && !REASONED_SUPPRESSION.test(comment)) {
    return 'biome-ignore needs a reason after a colon'
  }
  return undefined
}
