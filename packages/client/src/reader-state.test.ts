import { describe, expect, it } from 'vitest'
import {
  delivers,
  initialState,
  MAX_STALLS,
  nextStep,
  type PageEvent,
  type ReaderEvent,
  type ReaderState,
  transition,
} from './reader-state.ts'

const limits = {
  minConnectionDuration: 1000,
  maxShortConnections: 3,
  backoffBaseDelay: 100,
  backoffMaxDelay: 5000,
}
const page: PageEvent = {
  type: 'page',
  offset: 'b',
  cursor: undefined,
  upToDate: true,
  closed: false,
  hasData: true,
  hurried: false,
}
const control = {
  type: 'control',
  offset: 'b',
  cursor: undefined,
  upToDate: undefined,
  closed: false,
} as const

const longPoll: ReaderState = { ...initialState('a', 'long-poll', limits), upToDate: true, cursor: 'c' }
const sse: ReaderState = {
  ...longPoll,
  transport: { kind: 'sse', shortConnections: 1, openedAtMs: 5000 },
}
const STATES = {
  'catch-up only': initialState('a', undefined, limits),
  'catching up': initialState('a', 'long-poll', limits),
  'catching up for sse': initialState('a', 'sse', limits),
  'long-poll': longPoll,
  sse,
  'paused long-poll': transition(longPoll, { type: 'hide' }),
  'paused sse': transition(sse, { type: 'hide' }),
  closed: { ...longPoll, streamClosed: true },
} as const

const EVENTS = {
  page,
  'page without headers': { ...page, offset: undefined, upToDate: false, hasData: false },
  'page that goes on': { ...page, upToDate: false, cursor: 'd' },
  'closed page': { ...page, upToDate: false, closed: true },
  control,
  'up-to-date control': { ...control, upToDate: true, cursor: 'd' },
  'closed control': { ...control, offset: undefined, closed: true },
  opened: { type: 'opened', atMs: 7000 },
  'ended soon': { type: 'ended', atMs: 5999, broken: false },
  'ended late': { type: 'ended', atMs: 6000, broken: false },
  'broken late': { type: 'ended', atMs: 6000, broken: true },
  'sse unavailable': { type: 'sse-unavailable' },
  collect: { type: 'collect' },
  hide: { type: 'hide' },
  show: { type: 'show' },
} as const satisfies Record<string, ReaderEvent>

/** The next step in one line: what is asked for, where, and how long to wait first. */
function summary(state: ReaderState): string {
  const step = nextStep(state)
  if (step.kind === 'fail') return step.problem
  if (step.kind !== 'request') return step.kind
  const wait = step.waitMs === 0 ? '' : ` after ${step.jitter ? '0-' : ''}${step.waitMs}`
  return `${step.live ?? 'plain'} ${step.offset}${step.cursor ?? ''}${step.fresh ? ' fresh' : ''}${wait}`
}

type Row = readonly [event: keyof typeof EVENTS, ...next: string[]]

const COLUMNS = Object.keys(STATES) as (keyof typeof STATES)[]

// Each line: an event, and the next step in the states in the order of STATES.
const TABLE: readonly Row[] = [
  ['page', 'end', 'long-poll b', 'sse b', 'long-poll bc', 'sse bc', 'paused', 'paused', 'end'],
  [
    'page without headers',
    ...['plain a fresh', 'plain a fresh', 'plain a fresh', 'plain ac fresh', 'plain ac fresh'],
    ...['paused', 'paused', 'end'],
  ],
  [
    'page that goes on',
    'plain bd',
    'plain bd',
    'plain bd',
    'plain bd',
    'plain bd',
    'paused',
    'paused',
    'end',
  ],
  ['closed page', 'end', 'end', 'end', 'end', 'end', 'end', 'end', 'end'],
  ['control', 'plain b', 'plain b', 'plain b', 'long-poll bc', 'sse bc', 'paused', 'paused', 'end'],
  [
    'up-to-date control',
    'end',
    'long-poll bd',
    'sse bd',
    'long-poll bd',
    'sse bd',
    'paused',
    'paused',
    'end',
  ],
  ['closed control', 'end', 'end', 'end', 'end', 'end', 'end', 'end', 'end'],
  ['opened', 'plain a', 'plain a', 'plain a', 'long-poll ac', 'sse ac', 'paused', 'paused', 'end'],
  [
    'ended soon',
    ...['plain a fresh', 'plain a fresh', 'plain a after 0-200', 'long-poll ac', 'sse ac after 0-400'],
    ...['paused', 'paused', 'end'],
  ],
  [
    'ended late',
    ...['plain a fresh', 'plain a fresh', 'plain a after 0-200', 'long-poll ac', 'sse ac'],
    ...['paused', 'paused', 'end'],
  ],
  [
    'broken late',
    ...['plain a fresh', 'plain a fresh', 'plain a after 0-200', 'long-poll ac', 'sse ac after 0-100'],
    ...['paused', 'paused', 'end'],
  ],
  [
    'sse unavailable',
    'plain a',
    'plain a',
    'plain a',
    'long-poll ac',
    'long-poll ac',
    'paused',
    'paused',
    'end',
  ],
  ['collect', 'plain a', 'plain a', 'plain a', 'end', 'end', 'end', 'end', 'end'],
  ['hide', 'paused', 'paused', 'paused', 'paused', 'paused', 'paused', 'paused', 'end'],
  ['show', 'plain a', 'plain a', 'plain a', 'long-poll ac', 'sse ac', 'plain ac', 'sse ac', 'end'],
]

describe('every event in every state (C-012, C-013, C-033, C-046)', () => {
  it('the table is complete', () => {
    expect(TABLE.map(([event]) => event)).toEqual(Object.keys(EVENTS))
    expect(TABLE.every((row) => row.length === COLUMNS.length + 1)).toBe(true)
  })

  const cells = TABLE.flatMap(([event, ...next]) =>
    COLUMNS.map((state, i) => [event, state, next[i] ?? ''] as const),
  )
  it.each(cells)('%s, %s: %s', (event, state, next) => {
    expect(summary(transition(STATES[state], EVENTS[event]))).toBe(next)
  })
})

it('what is closed stays closed, whatever comes (C-033)', () => {
  for (const event of Object.values(EVENTS)) {
    const once = transition(STATES.closed, event)
    expect(once.streamClosed).toBe(true)
    expect(transition(once, EVENTS.page).streamClosed).toBe(true)
  }
})

describe('SSE connections that do not last (C-050)', () => {
  const opened = { type: 'opened', atMs: 0 } as const
  const soon = { type: 'ended', atMs: 10, broken: false } as const

  it('wait longer and longer, then long-poll is next', () => {
    const start: ReaderState = { ...sse, transport: { ...sse.transport, shortConnections: 0 } as never }
    const one = transition(transition(start, opened), soon)
    const two = transition(transition(one, opened), soon)
    const three = transition(transition(two, opened), soon)

    expect([one, two, three].map(summary)).toEqual([
      'sse ac after 0-200',
      'sse ac after 0-400',
      'long-poll ac',
    ])
  })

  it('the wait is bounded', () => {
    const bounded = { ...sse, limits: { ...limits, backoffMaxDelay: 150 } }

    expect(summary(transition(bounded, EVENTS['ended soon']))).toBe('sse ac after 0-150')
  })

  it('a pause is not counted (C-052)', () => {
    const resumed = transition(transition(sse, { type: 'hide' }), { type: 'show' })

    expect(resumed.transport).toEqual({ kind: 'sse', shortConnections: 1, openedAtMs: undefined })
  })
})

describe('pausing (C-090)', () => {
  it.each(['long-poll', 'sse'] as const)('twice is as once, resuming restores what was: %s', (name) => {
    const once = transition(STATES[name], { type: 'hide' })

    expect(transition(once, { type: 'hide' })).toEqual(once)
  })

  it('a long-poll asks once without waiting, then waits again', () => {
    const shown = transition(STATES['paused long-poll'], { type: 'show' })

    expect(summary(shown)).toBe('plain ac')
    expect(summary(transition(shown, page))).toBe('long-poll bc')
  })
})

describe('answers that do not move the offset (C-023)', () => {
  const stalled: PageEvent = { ...page, offset: 'a', upToDate: false }

  it('are tried past caches, then with growing waits, then given up', () => {
    const steps: string[] = []
    let state: ReaderState = STATES['catching up']
    for (let i = 0; i < MAX_STALLS; i++) {
      expect(delivers(state, stalled)).toBe(false)
      state = transition(state, stalled)
      steps.push(summary(state))
    }

    expect(steps).toEqual([
      'plain a fresh',
      'plain a after 100',
      'plain a after 200',
      'plain a after 400',
      'no-progress',
    ])
  })

  it('progress forgets them', () => {
    expect(transition(transition(STATES['catching up'], stalled), page).stalls).toBe(0)
  })

  it('live ones that come at once are slowed down, never given up, and delivered', () => {
    const hurried: PageEvent = { ...page, offset: 'a', hurried: true }
    const waits: number[] = []
    let state = longPoll
    for (let i = 0; i < 12; i++) {
      expect(delivers(state, hurried)).toBe(true)
      state = transition(state, hurried)
      waits.push(state.waitMs)
    }

    expect(waits).toEqual([0, 0, 0, 0, 100, 200, 400, 800, 1000, 1000, 1000, 1000])
  })

  it('event streams that nobody asked for and that end without news are given up', () => {
    let state: ReaderState = STATES['catch-up only']
    for (let i = 0; i < MAX_STALLS; i++) state = transition(state, EVENTS['ended soon'])

    expect(summary(state)).toBe('no-progress')
  })
})

it('data without an offset can be handed over only at the end (C-022)', () => {
  const unplaced = { ...page, offset: undefined }

  expect(summary(transition(STATES['catch-up only'], unplaced))).toBe('end')
  expect(summary(transition(STATES['catching up'], unplaced))).toBe('missing-offset')
  expect(delivers(STATES['catching up'], unplaced)).toBe(false)
  expect(summary(transition(STATES['catching up'], { ...unplaced, hasData: false }))).toBe('long-poll a')
})
