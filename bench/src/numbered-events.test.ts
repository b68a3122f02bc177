import { describe, expect, it } from 'vitest'
import { EVENT_BYTES, EventCheck, eventText, problemOfPages } from './numbered-events.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const events = (from: number, to: number): unknown[] =>
  Array.from({ length: to - from }, (_, i): unknown => JSON.parse(eventText(from + i)))

describe('numbered events', () => {
  it.each([0, 9, 10, 99, 100, 12_345, 9_999_999])('event %i has its number and the same size as all', (n) => {
    expect(bytes(eventText(n))).toHaveLength(EVENT_BYTES)
    expect(JSON.parse(eventText(n))).toMatchObject({ n })
  })
})

describe('EventCheck', () => {
  const problemOf = (items: unknown[], expected: number): string | undefined => {
    const check = new EventCheck()
    check.add(items.slice(0, 2))
    check.add(items.slice(2))
    return check.problem(expected)
  }

  it('is content with all events, once and in order', () => {
    expect(problemOf(events(0, 120), 120)).toBeUndefined()
  })

  it.each([
    ['one is missing at the end', events(0, 4), '4 events came, not 5'],
    ['one is missing on the way', [...events(0, 2), ...events(3, 6)], 'event 2 was expected'],
    ['one came twice', [...events(0, 3), ...events(2, 4)], 'event 3 was expected'],
    ['one came too many', events(0, 6), '6 events came, not 5'],
    ['two are swapped', [...events(1, 2), ...events(0, 1), ...events(2, 5)], 'event 0 was expected'],
    ['one lost its padding', [{ n: 0, pad: '' }, ...events(1, 5)], 'event 0 was expected'],
    ['one is no event', [null, ...events(1, 5)], 'event 0 was expected, not null'],
  ])('says that %s', (_, items, problem) => {
    expect(problemOf(items, 5)).toContain(problem)
  })
})

describe('problemOfPages', () => {
  it.each(['', '\n'])('joins pages with %j between them', (between) => {
    const pages = [events(0, 2), events(2, 5)].map((page) => JSON.stringify(page)).join(between)
    expect(problemOfPages(bytes(pages), 5)).toBeUndefined()
    expect(problemOfPages(bytes(pages), 6)).toBe('5 events came, not 6')
  })

  it('says that a page is cut', () => {
    expect(problemOfPages(bytes(JSON.stringify(events(0, 5)).slice(0, -3)), 5)).toContain('not JSON')
  })
})
