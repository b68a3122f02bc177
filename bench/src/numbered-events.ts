/** Events of exactly 100 bytes of JSON that carry their number, so that a reader can tell whether all came, once and in order. */

/** Bytes of one event. */
export const EVENT_BYTES = 100

const HEAD = '{"n":'
const END = '"}'

function fieldsOf(n: number): string {
  const customer = String(n % 10_000).padStart(4, '0')
  return `,"type":"order.placed","customer":"c-${customer}","amount":${10 + (n % 90)}.25,"currency":"EUR","pad":"`
}

const FIXED_BYTES = HEAD.length + fieldsOf(0).length + END.length

/** An order of six fields; up to 9,999,999. */
export function eventText(n: number): string {
  const digits = String(n)
  return `${HEAD}${digits}${fieldsOf(n)}${'x'.repeat(EVENT_BYTES - FIXED_BYTES - digits.length)}${END}`
}

/** Takes events as they come and remembers the first that is not the next. */
export class EventCheck {
  #next = 0
  #problem: string | undefined

  add(items: readonly unknown[]): void {
    for (const item of items) {
      if (!isEvent(item) || item.n !== this.#next) {
        this.#problem ??= `event ${this.#next} was expected, not ${JSON.stringify(item)?.slice(0, 120)}`
      }
      this.#next += 1
    }
  }

  /** What is wrong with what came; `undefined` if it is exactly so many events in order. */
  problem(events: number): string | undefined {
    if (this.#problem !== undefined) return this.#problem
    return this.#next === events ? undefined : `${this.#next} events came, not ${events}`
  }
}

/** The length says that the event is whole: what a check costs is part of what is timed. */
function isEvent(item: unknown): item is { readonly n: number; readonly pad: string } {
  if (typeof item !== 'object' || item === null || !('n' in item) || !('pad' in item)) return false
  const { n, pad } = item
  if (typeof n !== 'number' || typeof pad !== 'string') return false
  return pad.length === EVENT_BYTES - FIXED_BYTES - digitsOf(n)
}

function digitsOf(n: number): number {
  let digits = 1
  for (let rest = n; rest >= 10; rest = Math.floor(rest / 10)) digits += 1
  return digits
}

/** What is wrong with the bytes of JSON pages, one array each, that follow each other. */
export function problemOfPages(bytes: Uint8Array, events: number): string | undefined {
  const check = new EventCheck()
  const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  try {
    // No event contains a bracket, so that this joins pages and nothing else.
    const items: unknown = JSON.parse(text.replace(/\]\s*\[/g, ','))
    check.add(Array.isArray(items) ? items : [items])
  } catch (error) {
    return `the pages are not JSON: ${error}`
  }
  return check.problem(events)
}
