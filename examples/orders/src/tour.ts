/** The example, step by step, against any Durable Streams server. */
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { OrderDesk, OrderRefused } from './commands.ts'
import type { OrderState } from './order-state.ts'
import { Projection } from './projection.ts'
import { type OrderAt, orderUrl, replay } from './replay.ts'
import { restore, takeSnapshot } from './snapshot.ts'
import type { OrderViews } from './summary-view.ts'
import { stateAt } from './time-travel.ts'

/** What the tour needs. */
export interface TourOptions {
  readonly serverUrl: string
  /** Folder for snapshots and checkpoints. */
  readonly folder: string
  readonly print: (line: string) => void
  readonly now?: () => number
}

/** What the tour has found. */
export interface TourResult {
  readonly orderUrl: string
  readonly replayed: OrderAt
  readonly restored: OrderAt
  readonly snapshot: OrderAt
  readonly views: OrderViews
  /** Events that the projection applied before its restart, and after it. */
  readonly applied: readonly [before: number, after: number]
  /** The order as it was when it had just been paid. */
  readonly whenPaid: OrderState | undefined
}

/** Takes one order from its creation to its delivery. */
export async function runTour({ serverUrl, folder, print, now }: TourOptions): Promise<TourResult> {
  const desk = new OrderDesk(serverUrl, now)
  const orderId = randomUUID()
  const url = orderUrl(serverUrl, orderId)
  const snapshotPath = join(folder, 'snapshot.json')
  const viewsPath = join(folder, 'views.json')

  print(`1. Commands become events in ${url}`)
  await desk.handle(orderId, { type: 'CreateOrder', totalCents: 9_999 })
  const paid = await desk.handle(orderId, { type: 'PayOrder', paymentId: 'pay-17' })
  print(`   ${describe(paid.state)}`)
  print(`   refused: ${await refusal(desk.handle(orderId, { type: 'PayOrder', paymentId: 'pay-18' }))}`)

  print('2. A projection follows the log and saves its views together with its checkpoint')
  const first = await Projection.start(url, viewsPath)
  await first.reaches(paid.offset)
  print(`   ${first.views.summary?.status}; ${first.appliedEvents} events applied; now it stops`)
  await first.stop()

  print('3. A snapshot of the order, at the offset it belongs to')
  const snapshot = await takeSnapshot(url, snapshotPath)
  print(`   version ${snapshot.state?.version} at ${snapshot.offset}`)

  print('4. The order goes on')
  await desk.handle(orderId, { type: 'ShipOrder', trackingId: 'track-4' })
  const delivered = await desk.handle(orderId, { type: 'DeliverOrder' })
  print(`   ${describe(delivered.state)}`)

  print('5. The projection starts again and goes on from its checkpoint')
  const second = await Projection.start(url, viewsPath)
  await second.reaches(delivered.offset)
  await second.stop()
  print(`   ${second.views.summary?.status}; ${second.appliedEvents} more events applied`)
  print(`   history: ${second.views.audit.map(({ what }) => what).join(', ')}`)

  print('6. The order from all of its events, and from the snapshot and the rest')
  const replayed = await replay(url)
  const restored = await restore(url, snapshotPath)
  print(`   replayed: ${describe(replayed.state)}`)
  print(`   restored: ${describe(restored.state)}`)

  print('7. Time travel: the order as it was when it had just been paid')
  const whenPaid = paid.state && (await stateAt(url, paid.state.changedAt))
  print(`   ${describe(whenPaid)}`)

  const applied = [first.appliedEvents, second.appliedEvents] as const
  return { orderUrl: url, replayed, restored, snapshot, views: second.views, applied, whenPaid }
}

function describe(state: OrderState | undefined): string {
  if (state === undefined) return 'no order'
  return `${state.status}, ${(state.totalCents / 100).toFixed(2)}, version ${state.version}`
}

async function refusal(command: Promise<OrderAt>): Promise<string> {
  try {
    await command
  } catch (error) {
    if (error instanceof OrderRefused) return error.message
    throw error
  }
  throw new Error('A command that has to be refused was accepted')
}
