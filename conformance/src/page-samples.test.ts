import { readFile } from 'node:fs/promises'
import { DurableStream, stream } from '@millrace/client'
import { createServer, type MillraceServer, memoryStorage } from '@millrace/server'
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { ADDED_COUNT, type PageProject, writeProject } from './page-project.fixture.ts'
import type * as Reader from './page-reader.fixture.ts'
import { codeBlocks, typeScriptSamples } from './page-samples.fixture.ts'

const contentType = 'application/json'
const LONG_MS = 120_000
const WAIT = { timeout: 30_000 }
const DAY_MS = 24 * 60 * 60 * 1000

const CREATED = { type: 'OrderCreated', orderId: '123', total: 99.99 }
const PAID = { type: 'OrderPaid', orderId: '123', paymentId: 'pay_xyz' }
const SHIPPED = { type: 'OrderShipped', orderId: '123', trackingId: 'track_abc' }
const STATE = { status: 'shipped', total: 99.99, paymentId: 'pay_xyz', trackingId: 'track_abc' }

// biome-ignore lint/suspicious/noExplicitAny: what a sample declares is known to the page only
type Sample = any

let server: MillraceServer
let project: PageProject

beforeAll(async () => {
  server = await createServer({ storage: memoryStorage(), port: 0 })
})

afterAll(() => server.close())

beforeEach(async () => {
  project = await writeProject(server.url)
  return () => project.remove()
})

/** Runs a sample, unless this test already has. */
function run(number: number): Promise<Sample> {
  return import(/* @vite-ignore */ project.path(`sample-${number}`))
}

function readerOf(): Promise<typeof Reader> {
  return import(/* @vite-ignore */ project.path('reader'))
}

/** A live sample never ends its session. */
function cancelAfterwards({ res }: Sample): void {
  onTestFinished(() => res.cancel())
}

async function orderLog(): Promise<DurableStream> {
  return DurableStream.create({ url: (await readerOf()).eventLogUrl, contentType })
}

async function itemsAt(url: string): Promise<readonly unknown[]> {
  return (await stream({ url, live: false })).json()
}

describe('the copied page', () => {
  it('has fourteen samples in TypeScript and one configuration', async () => {
    const page = await readFile(new URL('../samples/event-sourcing.txt', import.meta.url), 'utf8')
    const samples = typeScriptSamples(page)
    const words = (text: string): string => text.split('\n')[0] ?? ''

    expect(samples.map(({ text }) => words(text))).toEqual([
      'import { DurableStream } from "@durable-streams/client"',
      'import { stream } from "@durable-streams/client"',
      '// Replay then live tail',
      'interface OrderState {',
      'const res = await stream({',
      'import { DurableStream, IdempotentProducer } from "@durable-streams/client"',
      'interface Snapshot {',
      '// Lightweight view for listings',
      'const res = await stream({',
      '// Each order has its own event stream',
      '// Debug: What was the order state at timestamp X?',
      'interface Event {',
      'async function handleCreateOrder(cmd) {',
      'async function getOrderSummary(orderId) {',
    ])
    expect(ADDED_COUNT).toBe(samples.length)
    expect(codeBlocks(page)).toHaveLength(samples.length + 1)
    const lines = page.split('\n')
    for (const { line, text } of samples) expect(lines[line - 1]).toBe(words(text))
    // A call that the extraction cut off or missed would be absent here.
    const calls = /\b(?:import|await|append|stream|create|subscribeJson)\b.*[({]/g
    const config = page.indexOf('# Nginx example')
    const inSamples = samples.flatMap(({ text }) => text.match(calls) ?? [])
    expect(inSamples).toEqual(page.slice(0, config).match(calls))
  })
})

describe('the samples of the event sourcing page', () => {
  it('1, 2, 5 (C-003): append events, replay them, rebuild the state', async () => {
    const log = vi.spyOn(console, 'log').mockImplementation(() => undefined)
    onTestFinished(() => log.mockRestore())
    const { eventLog } = await run(1)
    const { events, state } = await run(2)
    const { currentState } = await run(5)

    expect(await itemsAt(eventLog.url)).toEqual([CREATED, PAID, SHIPPED])
    expect(events).toEqual([CREATED, PAID, SHIPPED])
    expect(state).toEqual(STATE)
    expect(currentState).toEqual(STATE)
    expect(log.mock.calls).toEqual([['Current order state:', STATE]])
  })

  it('3: subscribe to new events after catching up', async () => {
    const { eventLog } = await run(1)
    const sample = await run(3)
    cancelAfterwards(sample)
    const { checkpoints } = await readerOf()
    await vi.waitFor(() => expect(sample.state).toEqual(STATE), WAIT)
    await eventLog.append({ type: 'OrderDelivered', timestamp: 7 })
    await vi.waitFor(
      () => expect(sample.state).toEqual({ ...STATE, status: 'delivered', deliveredAt: 7 }),
      WAIT,
    )

    const { offset } = await eventLog.head()
    await vi.waitFor(() => expect(checkpoints.at(-1)).toBe(offset), WAIT)
  })

  it('4: every kind of event changes the state as the reducer says', async () => {
    const { applyEvent, initialState } = await run(4)
    const events = [CREATED, PAID, SHIPPED, { type: 'Other' }, { type: 'OrderDelivered', timestamp: 7 }]

    expect(initialState).toEqual({ status: 'created', total: 0 })
    expect(events.reduce(applyEvent, initialState)).toEqual({ ...STATE, status: 'delivered', deliveredAt: 7 })
  })

  it('6 (C-003): write each event exactly once, and end the stream', async () => {
    const { eventLog, producer } = await run(6)
    const { orderId, total, paymentId } = await readerOf()

    expect(await itemsAt(eventLog.url)).toEqual([
      { type: 'OrderCreated', orderId, total },
      { type: 'OrderPaid', orderId, paymentId },
    ])
    expect([producer.epoch, producer.duplicateCount]).toEqual([0, 0])
    expect(await eventLog.head()).toMatchObject({ streamClosed: true })
  })

  it('7: a snapshot is restored with the events after it, and only those', async () => {
    const { eventLog } = await run(1)
    const { restoreState, takeSnapshot } = await run(7)
    const { orderId, snapshots } = await readerOf()
    expect(await restoreState(orderId)).toEqual({ status: 'created', total: -1 })

    // Replayed from the beginning, the total would be the event's.
    const { offset } = await eventLog.head()
    await takeSnapshot({ status: 'paid', total: 1000 }, offset)
    expect(snapshots.get(orderId)).toMatchObject({ offset, timestamp: expect.any(Number) })
    expect(await restoreState(orderId)).toEqual({ status: 'paid', total: 1000 })
    await eventLog.append({ ...SHIPPED, trackingId: 'later' })
    expect(await restoreState(orderId)).toEqual({ status: 'shipped', total: 1000, trackingId: 'later' })
  })

  it('8: a projection starts with the first event and follows the next', async () => {
    const { projectToSummary } = await run(8)
    const summary = projectToSummary(null, { ...CREATED, timestamp: 7 })

    expect(projectToSummary(null, PAID)).toBeNull()
    expect(summary).toEqual({ orderId: '123', status: 'created', total: 99.99, createdAt: 7 })
    expect(projectToSummary(summary, PAID)).toEqual({ ...summary, status: 'paid' })
    expect(projectToSummary(summary, SHIPPED)).toBe(summary)
  })

  it('9: all projections are built from one subscription', async () => {
    const { eventLog } = await run(1)
    cancelAfterwards(await run(9))
    const { auditTrails, checkpoints, summaries } = await readerOf()
    await eventLog.append({ type: 'OrderDelivered', orderId: '123' })
    const { offset } = await eventLog.head()
    await vi.waitFor(() => expect(checkpoints.at(-1)).toBe(offset), WAIT)

    expect(summaries.at(-1)).toEqual({ orderId: '123', status: 'paid', total: 99.99, createdAt: undefined })
    expect(auditTrails.at(-1)).toEqual(
      ['OrderCreated', 'OrderPaid', 'OrderShipped', 'OrderDelivered'].map((type) => ({ type })),
    )
  })

  it('10: every aggregate has a stream of its own', async () => {
    const { orderStream, userStream, workspaceStream } = await run(10)
    const { orderId, userId, workspaceId } = await readerOf()
    const base = `${server.url}/v1/stream`
    const streams: readonly DurableStream[] = [orderStream, userStream, workspaceStream]
    for (const [n, each] of streams.entries()) await each.append({ n })

    expect(streams.map(({ url }) => url)).toEqual([
      `${base}/orders/${orderId}/events`,
      `${base}/users/${userId}/events`,
      `${base}/workspaces/${workspaceId}/events`,
    ])
    for (const [n, { url }] of streams.entries()) expect(await itemsAt(url)).toEqual([{ n }])
  })

  it('11: time travel sees what had happened, and nothing later', async () => {
    const now = Date.now()
    const log = await orderLog()
    await log.append({ ...CREATED, timestamp: now - 3 * DAY_MS })
    await log.append({ ...PAID, timestamp: now - 2 * DAY_MS })
    await log.append({ ...SHIPPED, timestamp: now })
    const { getStateAtTime, stateYesterday } = await run(11)
    const { orderId } = await readerOf()

    expect(stateYesterday).toEqual({ status: 'paid', total: 99.99, paymentId: 'pay_xyz' })
    expect(await getStateAtTime(orderId, now)).toEqual(STATE)
    expect(await getStateAtTime(orderId, 0)).toEqual({ status: 'created', total: 0 })
  })

  it('12: events of two versions, read back from a stream, are both applied', async () => {
    const log = await orderLog()
    await log.append({ type: 'OrderCreated', version: 1, timestamp: 1, data: { total: 5 } })
    const data = { total: 6, currency: 'EUR', items: ['book'] }
    await log.append({ type: 'OrderCreated', version: 2, timestamp: 2, data })
    const { applyEvent } = await run(12)
    const states = (await itemsAt(log.url)).map((event) => applyEvent({ status: 'created', total: 0 }, event))

    expect(states).toEqual([
      { status: 'created', total: 5 },
      { status: 'created', ...data },
    ])
  })

  it('13: a command appends its event; an invalid one appends nothing', async () => {
    const { handleCreateOrder } = await run(13)
    const { eventLogUrl } = await readerOf()
    await handleCreateOrder({ orderId: '124', total: 5 })
    await expect(handleCreateOrder({ orderId: '125', total: 0 })).rejects.toThrow('Invalid total')

    const created = { type: 'OrderCreated', orderId: '124', total: 5, timestamp: expect.any(Number) }
    expect(await itemsAt(eventLogUrl)).toEqual([CREATED, PAID, SHIPPED, created])
  })

  it('14: a query reads the view that the projection builder keeps', async () => {
    await run(1)
    const sample = await run(14)
    cancelAfterwards(sample)

    await vi.waitFor(async () => expect(await sample.getOrderSummary('123')).toHaveLength(3), WAIT)
    expect(await sample.getOrderSummary('123')).toEqual([CREATED, PAID, SHIPPED])
    expect(await sample.getOrderSummary('124')).toEqual([])
  })
})

describe('strict type checking of the samples', { timeout: LONG_MS }, () => {
  const PAGES_OWN = [
    // A state that may be missing is returned as one that is never.
    { sample: 8, line: 22, code: 'TS2322' },
    // The state of sample 4 has no currency.
    { sample: 12, line: 20, code: 'TS2353' },
    // Parameters without a type.
    { sample: 13, line: 1, code: 'TS7006' },
    { sample: 14, line: 1, code: 'TS7006' },
  ]

  it("(C-003) finds the page's own defects and nothing else", async () => {
    expect(await project.check()).toEqual(PAGES_OWN)
  })

  it('would find a name that the client does not have, in a batch as in an import', async () => {
    const broken = await writeProject(server.url, (text, sample) => {
      if (sample === 2) return text.replace('import { stream }', 'import { stream, missing }')
      return sample === 3 ? text.replace('batch.offset', 'batch.position') : text
    })
    onTestFinished(() => broken.remove())

    expect(await broken.check()).toEqual([
      { sample: 2, line: 1, code: 'TS2305' },
      { sample: 3, line: 14, code: 'TS2339' },
      ...PAGES_OWN,
    ])
  })
})
