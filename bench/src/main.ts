/** The command line. */
import { type AppendFormat, jsonFormat, plainFormat } from './append-format.ts'
import { appendsScenario } from './appends-scenario.ts'
import { bulkReadScenario } from './bulk-read-scenario.ts'
import {
  type Options,
  parseCommand,
  parseCount,
  parseCounts,
  parseRoot,
  parseTargets,
} from './command-options.ts'
import { runScenario, type ScenarioResult } from './compare.ts'
import { type Conditions, readConditions } from './conditions.ts'
import { describeDisk } from './data-directory.ts'
import { fanOutScenario } from './fan-out-scenario.ts'
import { parseOrigin } from './http-connection.ts'
import { idleScenario } from './idle-scenario.ts'
import { runMixed } from './mixed-run.ts'
import { formatConditions, formatScenario } from './report.ts'
import type { Scenario, ServerUnderTest } from './scenario.ts'
import { smallReadScenario } from './small-read-scenario.ts'
import { runStoreCommand } from './store-commands.ts'
import { FILE_TARGETS, startTarget } from './target-process.ts'
import { UsageError } from './usage-error.ts'

const HELP = `Measures Durable Streams servers and verifies what they return.

  main.js compare [options] [scenario...]   starts the targets itself, compares them in paired rounds
  main.js run --url http://host:port --pid 1234 [options] [scenario...]   measures a running local server
  main.js mixed [--target millrace] [--requests 40000]   heap and open waiters under mixed requests
  main.js client [--events 300000]   our client and the published one: writing with a producer, replaying

The durable store (a table in Markdown each):
  main.js scale [--streams 1000000]   creating them; starts after a clean stop and after SIGKILL; memory
  main.js space [--mebibytes 64]      bytes on disk per byte stored
  main.js disk-read [--mebibytes 1024] [--targets millrace-durable,upstream-file]   catch-up, cold and warm
  main.js recovery [--requests 300000]   seconds of start per 100 MiB of journal
  main.js stalls [--requests 300000]     the longest turn of the event loop, with and without checkpoints

Scenarios: appends, catch-up, small-reads, sse-fan-out, sse-idle. Without a name: all but sse-idle.

Options
  --targets bare,upstream,millrace   what compare starts; also millrace-durable, millrace-fast, upstream-file
  --data-root /tmp       where data directories are made; has to be on a disk for stores that use files
  --cold yes             disk-read and scale also measure with an empty page cache (root only)
  --bodies binary,json   what appends sends: 256 B of bytes, 100 B of JSON
  --node-options ""      for the server of stalls, such as "--cpu-prof --cpu-prof-dir=/tmp/profiles"
  --markdown             tables of compare and run in Markdown
  --rounds 5             paired rounds; sse-idle always makes one
  --events 300000        events of 100 bytes that client writes and replays in one round
  --connections 64       connections of appends and small-reads
  --requests 50000       requests in one round of appends and small-reads, or of mixed as a whole (40000)
  --streams 1,1000       numbers of streams for appends
  --readers 1,100,1000   numbers of readers for sse-fan-out
  --deliveries 100000    deliveries in one round of sse-fan-out, at most 10000 appends
  --window 1             appends under way at a time in sse-fan-out
  --idle-readers 1000    readers of sse-idle
  --idle-seconds 180     duration of sse-idle
  --mebibytes 64         size of the stream of catch-up
  --max-seconds 30       bound of one round of appends and small-reads
  --warm-up-requests 0   requests that mixed sends before the first that counts
  --json                 results as JSON
  --help                 this text

Exit status: 0 when everything was verified, 1 when a verification failed, 2 for wrong usage.
`

function bodyFormat(name: string): AppendFormat {
  if (name === 'binary') return plainFormat('application/octet-stream', 256)
  if (name === 'json') return jsonFormat(100)
  throw new UsageError(`unknown body ${name}: binary, json`)
}

function scenariosNamed(name: string, options: Options): Scenario[] {
  const connections = parseCount('connections', options.connections)
  const requests = parseCount('requests', options.requests ?? '50000')
  const maxSeconds = parseCount('max-seconds', options['max-seconds'])
  switch (name) {
    case 'appends':
      return options.bodies.split(',').flatMap((body) => {
        const format = bodyFormat(body)
        return parseCounts('streams', options.streams ?? '1,1000').map((streams) => {
          return appendsScenario({
            format,
            streams,
            connections,
            requests,
            warmUpRequests: 5_000,
            maxSeconds,
          })
        })
      })
    case 'catch-up': {
      const sizeBytes = parseCount('mebibytes', options.mebibytes ?? '64') * 1_048_576
      return [bulkReadScenario({ sizeBytes, appendBytes: 65_536, passes: 8 })]
    }
    case 'small-reads':
      return [smallReadScenario({ connections, requests, maxSeconds })]
    case 'sse-fan-out': {
      const deliveries = parseCount('deliveries', options.deliveries)
      const window = parseCount('window', options.window)
      return parseCounts('readers', options.readers).map((readers) => {
        return fanOutScenario({ readers, window, appends: Math.min(10_000, Math.ceil(deliveries / readers)) })
      })
    }
    case 'sse-idle': {
      const readers = parseCount('idle-readers', options['idle-readers'])
      return [idleScenario({ readers, seconds: parseCount('idle-seconds', options['idle-seconds']) })]
    }
    default:
      throw new UsageError(`unknown scenario ${name}`)
  }
}

function chooseScenarios(names: readonly string[], options: Options): Scenario[] {
  const chosen = names.length > 0 ? names : ['appends', 'catch-up', 'small-reads', 'sse-fan-out']
  return chosen.flatMap((name) => scenariosNamed(name, options))
}

function showProgress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${text}`)
}

/** Prints as results come in, or all at once as JSON; the exit status. */
class Output {
  readonly #json: boolean
  readonly #markdown: boolean
  readonly #conditions: Conditions
  readonly #results: ScenarioResult[] = []

  constructor({ json, markdown }: Options, disk?: string) {
    this.#json = json
    this.#markdown = markdown
    this.#conditions = readConditions(disk)
    if (!json) process.stdout.write(`${formatConditions(this.#conditions)}\n`)
  }

  add(result: ScenarioResult): void {
    this.#results.push(result)
    showProgress('')
    if (!this.#json) process.stdout.write(`\n${formatScenario(result, this.#markdown)}\n`)
  }

  finish(): number {
    if (this.#json) {
      const text = JSON.stringify({ conditions: this.#conditions, results: this.#results }, null, 2)
      process.stdout.write(`${text}\n`)
    }
    const failed = this.#results.some((result) => result.targets.some((target) => target.verified === 'no'))
    return failed ? 1 : 0
  }
}

async function compare(names: readonly string[], options: Options): Promise<number> {
  const targets = parseTargets(options.targets ?? 'bare,upstream,millrace')
  const root = parseRoot(options['data-root'])
  const disk = targets.some((name) => FILE_TARGETS.includes(name)) ? describeDisk(root) : undefined
  const scenarios = chooseScenarios(names, options)
  const rounds = parseCount('rounds', options.rounds)
  const output = new Output(options, disk)
  for (const scenario of scenarios) {
    const servers = await Promise.all(targets.map((name) => startTarget(name, root)))
    try {
      output.add(await runScenario(scenario, servers, rounds, showProgress))
    } finally {
      await Promise.all(servers.map((server) => server.stop()))
    }
  }
  return output.finish()
}

async function run(names: readonly string[], options: Options): Promise<number> {
  if (options.url === undefined || options.pid === undefined)
    throw new UsageError('run needs --url and --pid')
  const server: ServerUnderTest = {
    name: 'server',
    origin: parseOrigin(options.url),
    pid: parseCount('pid', options.pid),
    stores: true,
  }
  const rounds = parseCount('rounds', options.rounds)
  const output = new Output(options)
  for (const scenario of chooseScenarios(names, options)) {
    output.add(await runScenario(scenario, [server], rounds, showProgress))
  }
  return output.finish()
}

async function main(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseCommand(args)
  const [command, ...names] = positionals
  if (values.help || command === undefined) {
    process.stdout.write(HELP)
    return values.help ? 0 : 2
  }
  if (command === 'compare') return compare(names, values)
  if (command === 'run') return run(names, values)
  if (command === 'mixed') {
    const requests = parseCount('requests', values.requests ?? '40000')
    const warmUpRequests = Number(values['warm-up-requests'])
    if (!Number.isSafeInteger(warmUpRequests) || warmUpRequests < 0) {
      throw new UsageError('--warm-up-requests takes a number')
    }
    return runMixed({ target: values.target ?? 'millrace', requests, warmUpRequests, json: values.json })
  }
  const measured = runStoreCommand(command, values, showProgress)
  if (measured === undefined) throw new UsageError(`unknown command ${command}`)
  return measured
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130))

main(process.argv.slice(2)).then(
  (status) => {
    process.exitCode = status
  },
  (error: unknown) => {
    const usage = error instanceof UsageError || (error instanceof TypeError && 'code' in error)
    process.stderr.write(`${error instanceof Error ? (usage ? error.message : error.stack) : error}\n`)
    process.exit(usage ? 2 : 1)
  },
)
