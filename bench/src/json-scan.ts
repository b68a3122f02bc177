/**
 * How fast the JSON scanner is, beside `JSON.parse` with and without UTF-8 decoding on the same bytes.
 *
 *   node bench/dist/json-scan.js [--rounds 9]
 *
 * Each round measures every kind of body with each of the three in turn; the table shows medians.
 */
import { parseArgs } from 'node:util'
import { encodeJsonMessages } from '@millrace/protocol'
import { readConditions } from './conditions.ts'
import { seededRandom } from './json-documents.ts'
import { median } from './percentile.ts'

const MAX_DEPTH = 512
const BYTES_PER_SAMPLE = 8_000_000

const random = seededRandom(1)

function smallObject(n: number): object {
  return {
    id: 1000 + n,
    type: 'order.placed',
    user: `u-${n * 7919}`,
    amount: n * 1.25,
    ok: n % 3 === 0,
    tags: ['a', 'bb'],
    x: null,
  }
}

function many<T>(length: number, make: (n: number) => T): readonly T[] {
  return Array.from({ length }, (_, n) => make(n))
}

const prose = 'The quick brown fox jumps over the lazy dog, "quoted" now and then,\nand on several lines. '

const KINDS: readonly (readonly [name: string, text: string])[] = [
  ['object of 100 bytes', JSON.stringify(smallObject(3))],
  ['array of 1000 small objects', JSON.stringify(many(1000, smallObject))],
  ['the same, indented', JSON.stringify(many(1000, smallObject), null, 2)],
  ['object with long strings', JSON.stringify({ a: prose.repeat(300), b: 'x'.repeat(20_000) })],
  ['array of 10000 fractions', JSON.stringify(many(10_000, () => random() * 1000))],
  ['object with 10000 integers', JSON.stringify({ v: many(10_000, () => Math.floor(random() * 1e6)) })],
  [
    'strings outside ASCII',
    JSON.stringify({ t: many(500, () => '日本語のテキスト、Grüße aus Köln, привет мир 😀') }),
  ],
  ['array of 10 MB', JSON.stringify(many(95_000, smallObject))],
]

interface Contestant {
  readonly run: () => unknown
  readonly samples: number[]
}

interface Trial {
  readonly name: string
  readonly bytes: number
  readonly contestants: readonly [scan: Contestant, decodeAndParse: Contestant, parse: Contestant]
}

function prepare(name: string, text: string): Trial {
  const body = new TextEncoder().encode(text)
  const decoder = new TextDecoder('utf-8', { fatal: true })
  const contestant = (run: () => unknown): Contestant => ({ run, samples: [] })
  const contestants: Trial['contestants'] = [
    contestant(() => encodeJsonMessages(body, MAX_DEPTH)),
    contestant((): unknown => JSON.parse(decoder.decode(body))),
    contestant((): unknown => JSON.parse(text)),
  ]
  return { name, bytes: body.length, contestants }
}

/** What the runs return, so that none of them can be left out as unused. */
let lastResult: unknown

function nanosecondsPerRun(run: () => unknown, runs: number): number {
  const startedAt = process.hrtime.bigint()
  for (let i = 0; i < runs; i++) lastResult = run()
  return Number(process.hrtime.bigint() - startedAt) / runs
}

function formatRow({ name, bytes, contestants }: Trial): string {
  const [scan = 0, decodeAndParse = 0, parse = 0] = contestants.map(({ samples }) => median(samples))
  const rate = (nanoseconds: number): string => `${Math.round((bytes / nanoseconds) * 1000)} MB/s`
  return [
    name.padEnd(28),
    String(bytes).padStart(9),
    Math.round(scan).toLocaleString('en').padStart(12),
    ...[scan, decodeAndParse, parse].map((nanoseconds) => rate(nanoseconds).padStart(16)),
    `${(decodeAndParse / scan).toFixed(1)} x`.padStart(19),
    `${(parse / scan).toFixed(1)} x`.padStart(19),
  ].join('')
}

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '9' } } })
const { cpu, cores, node, loadAverage } = readConditions()
const trials = KINDS.map(([name, text]) => prepare(name, text))
// One more round than is counted: the first warms up.
for (let round = 0; round <= Number(values.rounds); round++) {
  for (const { bytes, contestants } of trials) {
    const runs = Math.max(2, Math.round(BYTES_PER_SAMPLE / bytes))
    for (const { run, samples } of contestants) {
      const nanoseconds = nanosecondsPerRun(run, runs)
      if (round > 0) samples.push(nanoseconds)
    }
  }
}
console.log(`Node ${node}, ${cores} cores of ${cpu}, load average ${loadAverage.toFixed(1)}`)
console.log(`medians of ${values.rounds} interleaved rounds; the last result was a ${typeof lastResult}`)
console.log(
  [
    'body'.padEnd(28),
    'bytes'.padStart(9),
    'scan, ns'.padStart(12),
    ...['scan', 'decode + parse', 'parse a string'].map((title) => title.padStart(16)),
    ...['to decode + parse', 'to parse'].map((title) => title.padStart(19)),
  ].join(''),
)
for (const trial of trials) console.log(formatRow(trial))
