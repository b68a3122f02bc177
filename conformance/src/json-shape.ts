/** Checks on values that came out of `JSON.parse`: each returns the value typed, or throws naming it. */

/** Throws unless the value is a string with at least one character. */
export function asText(value: unknown, what: string): string {
  if (typeof value === 'string' && value !== '') return value
  throw new Error(`${what} must be a non-empty string`)
}

/** Throws unless the value is an array. */
export function asList(value: unknown, what: string): readonly unknown[] {
  if (Array.isArray(value)) return value
  throw new Error(`${what} must be an array`)
}

/** Throws unless the value is an object that is not an array. */
export function asRecord(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (isRecord(value)) return value
  throw new Error(`${what} must be an object`)
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
