/** The code samples of a documentation page that was copied as plain text, where nothing marks code but its form. */

/** One sample. `line` is where it begins on the page, counted from 1. */
export interface PageSample {
  readonly line: number
  readonly text: string
}

/** The TypeScript samples in page order; blocks that begin with `# ` are configuration and left out. */
export function typeScriptSamples(page: string): readonly PageSample[] {
  return codeBlocks(page).filter(({ text }) => !text.startsWith('# '))
}

/**
 * A block is a run of lines that are empty, indented or begin as code does: with a lower-case word, a closing bracket
 * or a comment. Prose begins with a capital, a number of a step or a bullet.
 */
export function codeBlocks(page: string): readonly PageSample[] {
  const blocks: PageSample[] = []
  let lines: string[] = []
  const end = (next: number): void => {
    const text = lines.join('\n')
    const leading = lines.findIndex((line) => line.trim() !== '')
    if (leading >= 0) blocks.push({ line: next - lines.length + leading + 1, text: text.trim() })
    lines = []
  }
  const all = page.split('\n')
  for (const [index, line] of all.entries()) {
    if (isCode(line)) lines.push(line)
    else end(index)
  }
  end(all.length)
  return blocks
}

function isCode(line: string): boolean {
  return /^(?:\s*$|\s+[^\s•]|[a-z})]|\/\/|# )/.test(line)
}
