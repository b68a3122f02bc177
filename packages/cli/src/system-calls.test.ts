/** What the server asks of the system, and in which order: the guarantees of FORMAT.md as strace sees them. */
import { afterEach, expect, test } from 'vitest'
import { type Acknowledged, checkEffectOrder } from './effect-order.fixture.ts'
import { startTraced, type TracedServer, whyNotTraceable } from './traced-server.fixture.ts'

const obstacle = whyNotTraceable()
// Where every test has to run, one that cannot is a failure.
const mayTrace = obstacle === undefined || process.env.MILLRACE_REQUIRE_ALL === '1'
if (!mayTrace) console.warn(`The system calls of the server are not checked: ${obstacle}`)

let server: TracedServer | undefined

afterEach(async () => {
  await server?.remove()
  server = undefined
})

const TEXT = { 'content-type': 'text/plain' }
const WRITERS = 16
const EACH = 25

/** Many appends at once to one stream, where every answer has an offset of its own. */
async function appendMany(url: string): Promise<readonly Acknowledged[]> {
  await fetch(`${url}/v1/stream/traced`, { method: 'PUT', headers: TEXT })
  const acknowledged: Acknowledged[] = []
  const write = async (writer: number): Promise<void> => {
    for (let number = 0; number < EACH; number++) {
      const marker = `<${writer}:${number}>`
      const body = marker.padEnd(200 + number, '.')
      const answer = await fetch(`${url}/v1/stream/traced`, { method: 'POST', headers: TEXT, body })
      if (answer.status !== 204) throw new Error(`an append was answered ${answer.status}`)
      acknowledged.push({ marker, nextOffset: answer.headers.get('stream-next-offset') ?? '' })
    }
  }
  await Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer)))
  return acknowledged
}

test.skipIf(!mayTrace)(
  'R-337: a durable server syncs before it answers, and checkpoints in the order of FORMAT.md (needs strace)',
  async () => {
    server = await startTraced('file-durable', { segmentBytes: 32_768, reserveBytes: 1024 })
    const acknowledged = await appendMany(server.url)
    await server.stop()
    const { violations, seen } = checkEffectOrder(server.calls(), acknowledged, 'file-durable')

    expect(violations).toEqual([])
    expect(seen).toMatchObject({ answers: WRITERS * EACH, earlyAnswers: 0 })
    expect(seen.homeFlushes).toBeGreaterThan(1)
    expect(seen.newBlockFiles).toBeGreaterThan(0)
    expect(seen.retiredSegments).toBeGreaterThan(1)
    expect(seen.newSegments).toBeGreaterThan(2)
  },
  120_000,
)

test.skipIf(!mayTrace)(
  'a fast server answers before it syncs, and syncs all the same (needs strace)',
  async () => {
    // No checkpoint, whose own sync would be seen instead.
    const limits = { checkpointAfterMs: 600_000, checkpointRecords: 1_000_000, segmentBytes: 1_048_576 }
    const traced = await startTraced('file-fast', limits)
    server = traced
    const acknowledged = await appendMany(traced.url)
    const check = (): ReturnType<typeof checkEffectOrder> =>
      checkEffectOrder(traced.calls(), acknowledged, 'file-fast')
    while (check().violations.length > 0) await new Promise((resolve) => setTimeout(resolve, 100))

    expect(check().seen.earlyAnswers).toBeGreaterThan(0)
    expect(check().seen.retiredSegments).toBe(0)
  },
  120_000,
)
