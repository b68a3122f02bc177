/** What `strace -f -y -xx` wrote, as calls that begin and end in an order. */

/** One system call: `began` and `ended` are places in one order of everything that was seen. */
export interface SystemCall {
  readonly name: string
  readonly began: number
  /** Infinite if the process ended first. */
  readonly ended: number
  /** The file of its first argument, or its paths; empty for others. */
  readonly path: string
  /** Flags and such, as written. */
  readonly text: string
  /** The descriptor of its first argument, or the one that it opened. */
  readonly descriptor: number | undefined
  /** The bytes that it wrote, as far as strace shows them. */
  readonly bytes: Buffer
}

const BEGUN = /^([0-9]+) +([a-z0-9_]+)\((.*)$/
const RESUMED = /^([0-9]+) +<\.\.\. ([a-z0-9_]+) resumed>(.*)$/
const UNFINISHED = ' <unfinished ...>'

/** Reads a trace; calls that failed are left out. */
export function parseTrace(trace: string): readonly SystemCall[] {
  const calls: SystemCall[] = []
  const underWay = new Map<string, { readonly began: number; readonly text: string }>()
  for (const [at, line] of trace.split('\n').entries()) {
    const resumed = RESUMED.exec(line)
    if (resumed) {
      const [, thread = '', name = '', rest = ''] = resumed
      const begun = underWay.get(`${thread} ${name}`)
      underWay.delete(`${thread} ${name}`)
      if (begun) calls.push(...callOf(name, begun.began, at, begun.text + rest))
      continue
    }
    const [, thread = '', name = '', rest = ''] = BEGUN.exec(line) ?? []
    if (name === '') continue
    if (rest.endsWith(UNFINISHED)) {
      underWay.set(`${thread} ${name}`, { began: at, text: rest.slice(0, -UNFINISHED.length) })
    } else calls.push(...callOf(name, at, at, rest))
  }
  for (const [key, { began, text }] of underWay) {
    calls.push(...callOf(key.split(' ')[1] ?? '', began, Number.POSITIVE_INFINITY, `${text}) = 0`))
  }
  return calls.sort((a, b) => a.began - b.began)
}

function callOf(name: string, began: number, ended: number, text: string): readonly SystemCall[] {
  const result = /\) += (-?[0-9]+)(?:<([^>]*)>)?/.exec(text)
  if (result === null || result[1]?.startsWith('-')) return []
  const isOpening = name.startsWith('open')
  const [, descriptor, path] = /^([0-9]+)<([^>]*)>/.exec(text) ?? []
  return [
    {
      name,
      began,
      ended,
      text: plain(text),
      path: plain((isOpening ? result[2] : path) ?? ''),
      descriptor: isOpening ? Number(result[1]) : descriptor === undefined ? undefined : Number(descriptor),
      bytes: writtenBytes(text),
    },
  ]
}

/** Every string of a call, one after the other: one for `write`, as many as there are for `writev`. */
function writtenBytes(text: string): Buffer {
  const strings = [...text.matchAll(/"((?:\\x[0-9a-f]{2})*)"/g)].map(([, hex = '']) =>
    hex.replaceAll('\\x', ''),
  )
  return Buffer.from(strings.join(''), 'hex')
}

/** Names are written in hexadecimal too. */
function plain(text: string): string {
  return text.replace(/\\x([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}
