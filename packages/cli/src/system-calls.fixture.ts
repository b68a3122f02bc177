/** Reads what `strace -f -y` writes: one event a system call, with when it began and when it was over. Pure. */

/** A system call; begin and end are line numbers of the trace, which is in the order in which things happened. */
export interface SystemCall {
  readonly name: string
  readonly begin: number
  /** Infinity for a call that the trace does not see the end of. */
  readonly end: number
  /** Number and path of the open file that it works on. */
  readonly fd: number | undefined
  readonly path: string
  /** Everything between the brackets, as strace prints it. */
  readonly args: string
  readonly result: number
}

/** The calls of a trace in the order in which they began. */
export function parseTrace(text: string): readonly SystemCall[] {
  const calls: SystemCall[] = []
  const unfinished = new Map<string, { readonly at: number; readonly text: string; readonly name: string }>()
  for (const [at, line] of text.split('\n').entries()) {
    const [, thread = '', rest = ''] = /^(\d+) +(.*)$/.exec(line) ?? []
    const resumed = /^<\.\.\. (\w+) resumed>(.*)$/.exec(rest)
    const started = /^(\w+)\((.*)$/.exec(rest)
    if (resumed !== null) {
      const begun = unfinished.get(thread)
      unfinished.delete(thread)
      if (begun !== undefined) calls.push(toCall(begun.name, begun.at, at, begun.text + resumed[2]))
    } else if (started?.[1] !== undefined) {
      const [, name, after = ''] = started
      const begun = /^(.*) <unfinished \.\.\.>$/.exec(after)
      if (begun?.[1] === undefined) calls.push(toCall(name, at, at, after))
      else unfinished.set(thread, { at, name, text: begun[1] })
    }
  }
  const open = [...unfinished.values()].map(({ at, name, text: begun }) =>
    toCall(name, at, Number.POSITIVE_INFINITY, begun),
  )
  return [...calls, ...open].sort((a, b) => a.begin - b.begin)
}

/** The quoted strings among the arguments, such as the two names of a rename. */
export function namesIn({ args }: SystemCall): readonly string[] {
  return [...args.matchAll(/"([^"]*)"/g)].map(([, name = '']) => name)
}

function toCall(name: string, begin: number, end: number, text: string): SystemCall {
  const [, args = text, result = '-1'] = /^(.*)\) +=\s(-?\d+)/.exec(text) ?? []
  const [, fd, path = ''] = /^(\d+)<([^>]*)>/.exec(args) ?? []
  return {
    name,
    begin,
    end,
    fd: fd === undefined ? undefined : Number(fd),
    path,
    args,
    result: Number(result),
  }
}
