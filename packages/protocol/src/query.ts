/** Query parameters, decoded exactly once. `+` is a plus sign: offsets and cursors are not form data (2.1). */

/** The values a protocol parameter was given; unknown parameters are ignored. */
export interface Query {
  /** All values of a parameter, in order; a value whose escapes do not decode is `undefined`. */
  all(name: string): readonly (string | undefined)[]
}

const NO_VALUES: readonly (string | undefined)[] = []

/** Splits the part of a request target after its first `?`. */
export function parseQuery(query: string): Query {
  const values = new Map<string, (string | undefined)[]>()
  for (const pair of query === '' ? [] : query.split('&')) {
    const equals = pair.indexOf('=')
    const name = decode(equals < 0 ? pair : pair.slice(0, equals))
    if (name === undefined) continue
    const value = decode(equals < 0 ? '' : pair.slice(equals + 1))
    const known = values.get(name)
    if (known) known.push(value)
    else values.set(name, [value])
  }
  return { all: (name) => values.get(name) ?? NO_VALUES }
}

function decode(text: string): string | undefined {
  if (!text.includes('%')) return text
  try {
    return decodeURIComponent(text)
  } catch {
    // Not valid UTF-8 in percent-escapes: no protocol value looks like that, so the caller refuses or ignores it.
    return undefined
  }
}
