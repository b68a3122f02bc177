/** What was measured of the clients, as medians of paired rounds and as rows of a table. Pure. */
import type { Performer, Task } from './client-tasks.ts'
import { EVENT_BYTES } from './numbered-events.ts'
import { median } from './percentile.ts'

/** One task, done once. */
export interface ClientSample {
  readonly server: string
  readonly task: Task
  readonly performer: Performer
  readonly round: number
  readonly wallMs: number
  readonly clientCpuMs: number
  readonly serverCpuMs: number
}

/** A ratio of rates, taken round by round. */
export interface RoundRatio {
  readonly median: number
  readonly lowest: number
  readonly highest: number
}

export interface ClientRow {
  readonly server: string
  readonly task: Task
  readonly eventsPerSecond: Partial<Record<Performer, number>>
  /** Microseconds of CPU per event. */
  readonly clientCpu: Partial<Record<Performer, number>>
  readonly serverCpu: Partial<Record<Performer, number>>
  /** The rate of our client over the rate of another performer. */
  readonly ratioTo: Partial<Record<Performer, RoundRatio>>
}

function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): ReadonlyMap<string, readonly T[]> {
  const groups = new Map<string, T[]>()
  for (const item of items) {
    const group = groups.get(keyOf(item))
    if (group === undefined) groups.set(keyOf(item), [item])
    else group.push(item)
  }
  return groups
}

/** Rows in the order in which their first samples came; rounds that a performer lacks do not count for its ratio. */
export function summariseClients(samples: readonly ClientSample[], events: number): readonly ClientRow[] {
  return [...groupBy(samples, ({ server, task }) => `${server} ${task}`).values()].flatMap((group) => {
    const [first] = group
    if (first === undefined) return []
    const byPerformer = [...groupBy(group, ({ performer }) => performer)]
    const own = new Map(
      group.filter(({ performer }) => performer === 'millrace').map(({ round, wallMs }) => [round, wallMs]),
    )
    const medians = (measure: (sample: ClientSample) => number): Partial<Record<Performer, number>> =>
      Object.fromEntries(byPerformer.map(([performer, list]) => [performer, median(list.map(measure))]))
    const ratios = byPerformer.flatMap(([performer, list]) => {
      const values = list.flatMap(({ round, wallMs }) => {
        const ownMs = own.get(round)
        return ownMs === undefined ? [] : [wallMs / ownMs]
      })
      if (performer === 'millrace' || values.length === 0) return []
      const ratio: RoundRatio = {
        median: median(values),
        lowest: Math.min(...values),
        highest: Math.max(...values),
      }
      return [[performer, ratio] as const]
    })
    return [
      {
        server: first.server,
        task: first.task,
        eventsPerSecond: medians(({ wallMs }) => (events * 1000) / wallMs),
        clientCpu: medians(({ clientCpuMs }) => (clientCpuMs * 1000) / events),
        serverCpu: medians(({ serverCpuMs }) => (serverCpuMs * 1000) / events),
        ratioTo: Object.fromEntries(ratios),
      },
    ]
  })
}

/** The first row is the head. A dash stands for what was not measured. */
export function clientTable(rows: readonly ClientRow[]): readonly (readonly string[])[] {
  const head = [
    'task, server',
    'events/s',
    'MB/s',
    '/ published (rounds)',
    'client CPU µs/event',
    'published',
    'server CPU µs/event',
    'published',
    '/ `JSON.parse` of text (rounds)',
    '/ decode and `JSON.parse` (rounds)',
    '/ `fetch`, decode and `JSON.parse` (rounds)',
  ]
  return [head, ...rows.map(tableRow)]
}

function tableRow({
  server,
  task,
  eventsPerSecond,
  clientCpu,
  serverCpu,
  ratioTo,
}: ClientRow): readonly string[] {
  const rate = eventsPerSecond.millrace
  return [
    `${task}, ${server}`,
    rate === undefined ? '-' : (Math.round(rate / 1000) * 1000).toLocaleString('en'),
    rate === undefined ? '-' : ((rate * EVENT_BYTES) / 1e6).toFixed(0),
    ratioText(ratioTo.published),
    numberText(clientCpu.millrace),
    numberText(clientCpu.published),
    numberText(serverCpu.millrace),
    numberText(serverCpu.published),
    ratioText(ratioTo['parse-text']),
    ratioText(ratioTo['parse-bytes']),
    ratioText(ratioTo.fetch),
  ]
}

function numberText(value: number | undefined): string {
  return value === undefined ? '-' : value.toFixed(2)
}

function ratioText(ratio: RoundRatio | undefined): string {
  if (ratio === undefined) return '-'
  return `${ratio.median.toFixed(2)} (${ratio.lowest.toFixed(2)} to ${ratio.highest.toFixed(2)})`
}
