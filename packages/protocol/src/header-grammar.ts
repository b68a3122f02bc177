/** The grammars that several protocol headers share (section 2.3). Values arrive trimmed. */

const DECIMAL = /^(?:0|[1-9][0-9]{0,15})$/

/** A decimal integer of 0 to 2^53-1 without sign or leading zeros, or `undefined`. */
export function parseDecimal(value: string): number | undefined {
  if (!DECIMAL.test(value)) return undefined
  const number = Number(value)
  return number <= Number.MAX_SAFE_INTEGER ? number : undefined
}

/** `Stream-Closed` counts only when it equals `true`, whatever the case; anything else is as if absent. */
export function isTrue(value: string | undefined): boolean {
  return value !== undefined && (value === 'true' || value.toLowerCase() === 'true')
}
