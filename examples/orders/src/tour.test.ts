import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { stream } from '@millrace/client'
import { createServer, type MillraceServer, memoryStorage } from '@millrace/server'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { OrderDesk, OrderRefused } from './commands.ts'
import { loadJson, saveJson } from './json-file.ts'
import type { OrderEvent } from './order-events.ts'
import { applyEvent, type OrderState } from './order-state.ts'
import { Projection } from './projection.ts'
import { orderUrl, replay } from './replay.ts'
import { restore, takeSnapshot } from './snapshot.ts'
import { EMPTY_VIEWS, projectEvent } from './summary-view.ts'
import { stateAt } from './time-travel.ts'
import { runTour, type TourResult } from './tour.ts'

let server: MillraceServer
let folder: string

beforeEach(async () => {
  server = await createServer({ storage: memoryStorage(), port: 0 })
  folder = await mkdtemp(join(tmpdir(), 'millrace-orders-test-'))
})

afterEach(async () => {
  await server.close()
  await rm(folder, { recursive: true, force: true })
})

async function eventsOf(url: string): Promise<readonly OrderEvent[]> {
  return (await stream<OrderEvent>({ url, live: false })).json<OrderEvent>()
}

describe('the tour', () => {
  const silent = (): void => undefined
  const tour = (): Promise<TourResult> => runTour({ serverUrl: server.url, folder, print: silent })

  it('stores four events, each later than the one before', async () => {
    const events = await eventsOf((await tour()).orderUrl)

    expect(events.map(({ type }) => type)).toEqual([
      'OrderCreated',
      'OrderPaid',
      'OrderShipped',
      'OrderDelivered',
    ])
    for (const [index, { at }] of events.entries()) expect(at).toBeGreaterThan(events[index - 1]?.at ?? 0)
  })

  it('has the same views from the projection as from a replay, each event applied once', async () => {
    const { orderUrl: url, views, applied } = await tour()

    expect(views).toEqual((await eventsOf(url)).reduce(projectEvent, EMPTY_VIEWS))
    expect(views.audit).toHaveLength(4)
    expect(applied).toEqual([2, 2])
  })

  it('has the same order from the snapshot and the rest as from a replay', async () => {
    const { orderUrl: url, snapshot, restored, replayed } = await tour()

    expect(snapshot.state).toMatchObject({ status: 'paid', version: 2 })
    expect(restored).toEqual(replayed)
    expect(restored.state).toEqual(
      (await eventsOf(url)).reduce(applyEvent, undefined as OrderState | undefined),
    )
    expect(restored.state).toMatchObject({ status: 'delivered', version: 4, trackingId: 'track-4' })
  })

  it('travels back to the order as it was', async () => {
    const { orderUrl: url, snapshot, whenPaid } = await tour()
    const [created] = await eventsOf(url)

    expect(whenPaid).toEqual(snapshot.state)
    expect(await stateAt(url, created?.at ?? 0)).toMatchObject({ status: 'created', version: 1 })
    expect(await stateAt(url, (created?.at ?? 0) - 1)).toBeUndefined()
  })

  it('also travels back exactly when the clock stands still', async () => {
    const { whenPaid } = await runTour({ serverUrl: server.url, folder, print: silent, now: () => 1_000 })

    expect(whenPaid).toMatchObject({ status: 'paid', version: 2 })
  })
})

describe('commands', () => {
  it('lets one of many commands through that are given at the same time', async () => {
    const desk = new OrderDesk(server.url)
    await desk.handle('7', { type: 'CreateOrder', totalCents: 100 })

    const outcomes = await Promise.allSettled(
      Array.from({ length: 8 }, (_, n) => desk.handle('7', { type: 'PayOrder', paymentId: `pay-${n}` })),
    )

    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') expect(outcome.reason).toBeInstanceOf(OrderRefused)
    }
    expect((await replay(orderUrl(server.url, '7'))).state).toMatchObject({ status: 'paid', version: 2 })
  })

  it.each([0, -5, 0.5, Number.NaN])('refuses a total of %d and stores nothing', async (totalCents) => {
    const desk = new OrderDesk(server.url)

    await expect(desk.handle('8', { type: 'CreateOrder', totalCents })).rejects.toBeInstanceOf(OrderRefused)
    expect(await eventsOf(orderUrl(server.url, '8'))).toEqual([])
  })
})

describe('a snapshot', () => {
  it('is where a restore begins: what came before is not read again', async () => {
    const desk = new OrderDesk(server.url)
    const url = orderUrl(server.url, '11')
    const path = join(folder, 'snapshot.json')
    await desk.handle('11', { type: 'CreateOrder', totalCents: 100 })
    const { state, offset } = await takeSnapshot(url, path)
    await desk.handle('11', { type: 'PayOrder', paymentId: 'pay-1' })
    await saveJson(path, { state: state && { ...state, totalCents: 777 }, offset })

    expect((await restore(url, path)).state).toMatchObject({ totalCents: 777, status: 'paid', version: 2 })
    expect(await restore(url, join(folder, 'no-snapshot.json'))).toEqual(await replay(url))
  })

  it('is taken from the one before', async () => {
    const desk = new OrderDesk(server.url)
    const url = orderUrl(server.url, '12')
    const path = join(folder, 'snapshot.json')
    await desk.handle('12', { type: 'CreateOrder', totalCents: 100 })
    await takeSnapshot(url, path)
    await desk.handle('12', { type: 'PayOrder', paymentId: 'pay-1' })
    await takeSnapshot(url, path)

    expect(await loadJson(path)).toEqual(await replay(url))
  })
})

describe('a projection', () => {
  it('applies nothing again when it starts anew at the end', async () => {
    const desk = new OrderDesk(server.url)
    const { offset } = await desk.handle('9', { type: 'CreateOrder', totalCents: 100 })
    const path = join(folder, 'views.json')
    const first = await Projection.start(orderUrl(server.url, '9'), path)
    await first.reaches(offset)
    await first.stop()

    const second = await Projection.start(orderUrl(server.url, '9'), path)
    await second.reaches(offset)
    await second.stop()

    expect(second.appliedEvents).toBe(0)
    expect(second.views).toEqual(first.views)
  })

  it('says that it was stopped to whoever waits for more', async () => {
    const desk = new OrderDesk(server.url)
    const { offset } = await desk.handle('10', { type: 'CreateOrder', totalCents: 100 })
    const projection = await Projection.start(orderUrl(server.url, '10'), join(folder, 'views.json'))
    await projection.reaches(offset)
    const waiting = expect(projection.reaches(`${offset}~`)).rejects.toThrow('was stopped')
    await projection.stop()
    await waiting
  })
})

describe('the command', () => {
  const run = promisify(execFile)
  const program = new URL('../dist/main.js', import.meta.url).pathname
  const outcome = /restored: delivered, 99\.99, version 4\n7\. .*\n {3}paid, 99\.99, version 2\n$/

  it('starts a server of its own, says what it does, and ends', async () => {
    const { stdout } = await run(process.execPath, [program])

    expect(stdout.split('\n').filter((line) => /^\d\. /.test(line))).toHaveLength(7)
    expect(stdout).toMatch(/refused: An order that is paid can't be paid: it has to be created\./)
    expect(stdout).toMatch(outcome)
  })

  it('uses the server that it is given, again and again', async () => {
    await run(process.execPath, [program, '--url', server.url])
    const { stdout } = await run(process.execPath, [program, '--url', `${server.url}/`])

    expect(stdout).toContain(`${server.url}/v1/stream/orders/`)
    expect(stdout).toMatch(outcome)
  })

  it('says which flags there are', async () => {
    await expect(run(process.execPath, [program, '--server', 'x'])).rejects.toMatchObject({
      code: 1,
      stderr: "Unknown option '--server'. Flags: --url <server>\n",
    })
  })

  it('says what to do when there is no server', async () => {
    await server.close()

    await expect(run(process.execPath, [program, '--url', server.url])).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^No server answers at .* leave --url out\.\n$/),
    })
  })
})
