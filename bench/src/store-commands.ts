/** The commands that end in one table: `client`, and `scale`, `space`, `disk-read`, `recovery` and `stalls` of the durable store. */
import { measureClients } from './client-run.ts'
import {
  type Options,
  parseCount,
  parseCounts,
  parseRoot,
  parseTarget,
  parseTargets,
  parseYes,
} from './command-options.ts'
import { describeDisk } from './data-directory.ts'
import { measureDiskReads } from './disk-read-run.ts'
import { type MeasuredTable, printTable } from './measured-table.ts'
import { measureRecovery } from './recovery-run.ts'
import { measureScale } from './scale-run.ts'
import { measureSpace } from './space-run.ts'
import { measureStalls } from './stall-run.ts'

type Progress = (text: string) => void
type Measure = (options: Options, progress: Progress) => Promise<MeasuredTable>

const MEBIBYTE = 1_048_576

const COMMANDS: Readonly<Record<string, Measure>> = {
  client: (options, progress) =>
    measureClients(
      {
        targets: parseTargets(options.targets ?? 'millrace,millrace-durable'),
        root: parseRoot(options['data-root']),
        events: parseCount('events', options.events),
        rounds: parseCount('rounds', options.rounds),
      },
      progress,
    ),
  scale: (options, progress) =>
    measureScale(
      {
        target: parseTarget(options.target ?? 'millrace-durable'),
        root: parseRoot(options['data-root']),
        streams: parseCount('streams', options.streams ?? '1000000'),
        connections: parseCount('connections', options.connections),
        rounds: parseCount('rounds', options.rounds),
        requests: parseCount('requests', options.requests ?? '90000'),
        cold: parseYes('cold', options.cold),
      },
      progress,
    ),
  space: (options, progress) =>
    measureSpace(
      {
        root: parseRoot(options['data-root']),
        connections: parseCount('connections', options.connections),
        bytes: parseCount('mebibytes', options.mebibytes ?? '64') * MEBIBYTE,
        streams: parseCounts('streams', options.streams ?? '1,1000'),
        appendBytes: [100, 1024],
      },
      progress,
    ),
  'disk-read': (options, progress) =>
    measureDiskReads(
      {
        targets: parseTargets(options.targets ?? 'millrace-durable,upstream-file'),
        root: parseRoot(options['data-root']),
        sizeBytes: parseCount('mebibytes', options.mebibytes ?? '1024') * MEBIBYTE,
        rounds: parseCount('rounds', options.rounds),
        cold: parseYes('cold', options.cold),
      },
      progress,
    ),
  recovery: (options, progress) =>
    measureRecovery(
      {
        root: parseRoot(options['data-root']),
        connections: parseCount('connections', options.connections),
        rounds: parseCount('rounds', options.rounds),
        streams: parseCounts('streams', options.streams ?? '1,1000,100000'),
        requests: parseCount('requests', options.requests ?? '300000'),
      },
      progress,
    ),
  stalls: (options, progress) =>
    measureStalls(
      {
        root: parseRoot(options['data-root']),
        connections: parseCount('connections', options.connections),
        rounds: parseCount('rounds', options.rounds),
        streams: parseCounts('streams', options.streams ?? '1000,100000'),
        requests: parseCount('requests', options.requests ?? '300000'),
        nodeOptions: options['node-options'].split(' ').filter((option) => option !== ''),
      },
      progress,
    ),
}

/** Runs one of them; `undefined` if there is none of that name. */
export function runStoreCommand(
  name: string,
  options: Options,
  progress: Progress,
): Promise<number> | undefined {
  const measure = COMMANDS[name]
  if (measure === undefined) return undefined
  const output = { disk: describeDisk(parseRoot(options['data-root'])), json: options.json }
  return printTable(output, () => measure(options, progress)).finally(() => progress(''))
}
