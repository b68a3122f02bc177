/** Durations as people write them on a command line. */

const UNITS_MS: ReadonlyMap<string, number> = new Map([
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
])

/** Milliseconds of `400ms`, `30s`, `5m`, `1h` or a plain number of seconds; `undefined` if it is none of these. */
export function parseDurationMs(text: string): number | undefined {
  const match = /^([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)?$/.exec(text.trim())
  const unitMs = UNITS_MS.get(match?.[2] ?? 's')
  return match?.[1] === undefined || unitMs === undefined ? undefined : Number(match[1]) * unitMs
}
