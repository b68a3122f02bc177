/**
 * Runs one scenario on several servers in paired rounds: every server in every round, the order rotated,
 * so that what disturbs the machine disturbs all of them alike. Judges by medians over the rounds.
 */
import { median } from './percentile.ts'
import { type Metric, type RoundResult, type Scenario, SERVER_CPU, type ServerUnderTest } from './scenario.ts'

export interface TargetResult {
  readonly target: string
  /** Median of each metric over the rounds. */
  readonly medians: readonly Metric[]
  /** Each metric in each round, in order. */
  readonly rounds: readonly Readonly<Record<string, number>>[]
  readonly verified: 'yes' | 'no' | 'stores nothing'
  readonly problems: readonly string[]
}

/** How a server compares with another, taken round by round; the values are medians over the rounds. */
export interface Comparison {
  readonly target: string
  readonly against: string
  readonly kind: 'ratio' | 'difference'
  readonly metric: Metric
  readonly lowest: number
  readonly highest: number
}

export interface ScenarioResult {
  readonly name: string
  readonly title: string
  readonly parameters: Readonly<Record<string, number | string>>
  readonly rounds: number
  readonly targets: readonly TargetResult[]
  readonly comparisons: readonly Comparison[]
}

const COMPARED = ['rate', SERVER_CPU]

function metricValue(result: RoundResult | undefined, key: string): number {
  return result?.metrics.find((metric) => metric.key === key)?.value ?? Number.NaN
}

function summarise(server: ServerUnderTest, rounds: readonly RoundResult[]): TargetResult {
  const problems = rounds.flatMap((round, index) =>
    round.problems.map((text) => `round ${index + 1}: ${text}`),
  )
  const verified = problems.length > 0 ? 'no' : server.stores ? 'yes' : 'stores nothing'
  const medians = (rounds[0]?.metrics ?? []).map((metric) => {
    return { ...metric, value: median(rounds.map((round) => metricValue(round, metric.key))) }
  })
  const values = rounds.map((round) =>
    Object.fromEntries(round.metrics.map(({ key, value }) => [key, value])),
  )
  return { target: server.name, medians, rounds: values, verified, problems }
}

function compareOn(
  kind: Comparison['kind'],
  metric: Metric,
  target: readonly [string, readonly RoundResult[]],
  against: readonly [string, readonly RoundResult[]],
): Comparison {
  const values = target[1].map((round, index) => {
    const own = metricValue(round, metric.key)
    const other = metricValue(against[1][index], metric.key)
    return kind === 'ratio' ? own / other : own - other
  })
  return {
    target: target[0],
    against: against[0],
    kind,
    metric: { ...metric, value: median(values), digits: kind === 'ratio' ? 2 : metric.digits },
    lowest: Math.min(...values),
    highest: Math.max(...values),
  }
}

/** Which server a target's ratio is taken to: its like at upstream. */
const RATIO_TO: Readonly<Record<string, string>> = {
  millrace: 'upstream',
  'millrace-fast': 'upstream-file',
  'millrace-durable': 'upstream-file',
}

/** Which server a target's CPU time is compared with besides the bare handler: what the files add. */
const ADDED_TO: Readonly<Record<string, string>> = {
  'millrace-fast': 'millrace',
  'millrace-durable': 'millrace',
  'upstream-file': 'upstream',
}

/** Ratios to upstream, and what a server costs on top of the bare handler and of memory. */
function compareAll(results: ReadonlyMap<string, readonly RoundResult[]>): Comparison[] {
  const comparisons: Comparison[] = []
  const add = (kind: Comparison['kind'], metric: Metric, name: string, against: string | undefined): void => {
    const own = results.get(name)
    const other = against === undefined ? undefined : results.get(against)
    if (own === undefined || against === undefined || other === undefined || name === against) return
    comparisons.push(compareOn(kind, metric, [name, own], [against, other]))
  }
  for (const [name, rounds] of results) {
    for (const metric of rounds[0]?.metrics ?? []) {
      if (!COMPARED.includes(metric.key)) continue
      add('ratio', metric, name, RATIO_TO[name])
      if (metric.key !== SERVER_CPU) continue
      add('difference', metric, name, 'bare')
      add('difference', metric, name, ADDED_TO[name])
    }
  }
  return comparisons
}

/** `progress` hears one line for each measurement that starts. */
export async function runScenario(
  scenario: Scenario,
  servers: readonly ServerUnderTest[],
  wantedRounds: number,
  progress: (text: string) => void,
): Promise<ScenarioResult> {
  const taking = servers.filter((server) => server.stores || !scenario.needsStorage)
  const results = new Map<string, RoundResult[]>(taking.map((server) => [server.name, []]))
  for (const server of taking) {
    progress(`${scenario.title}: warming up ${server.name}`)
    await scenario.prepare(server)
  }
  const rounds = Math.min(wantedRounds, scenario.maxRounds ?? wantedRounds)
  for (let round = 0; round < rounds; round += 1) {
    for (let turn = 0; turn < taking.length; turn += 1) {
      const server = taking[(round + turn) % taking.length]
      if (server === undefined) continue
      progress(`${scenario.title}: round ${round + 1} of ${rounds}, ${server.name}`)
      results.get(server.name)?.push(await scenario.round(server, round))
    }
  }
  return {
    name: scenario.name,
    title: scenario.title,
    parameters: scenario.parameters,
    rounds,
    targets: taking.map((server) => summarise(server, results.get(server.name) ?? [])),
    comparisons: compareAll(results),
  }
}
