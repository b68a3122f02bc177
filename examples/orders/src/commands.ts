/** The write side: a command is judged on the order as it is, and becomes an event or is refused. */
import { randomUUID } from 'node:crypto'
import { DurableStream, DurableStreamError } from '@millrace/client'
import type { OrderEvent } from './order-events.ts'
import type { OrderState } from './order-state.ts'
import { type OrderAt, orderUrl, replay } from './replay.ts'

/** What somebody wants to happen. */
export type OrderCommand =
  | { readonly type: 'CreateOrder'; readonly totalCents: number }
  | { readonly type: 'PayOrder'; readonly paymentId: string }
  | { readonly type: 'ShipOrder'; readonly trackingId: string }
  | { readonly type: 'DeliverOrder' }

/** The order cannot do that: its state, or what the command says, is against it. */
export class OrderRefused extends Error {
  override readonly name = 'OrderRefused'
}

/** Decides what a command makes happen. Throws `OrderRefused`. */
function decide(
  orderId: string,
  state: OrderState | undefined,
  command: OrderCommand,
  now: number,
): OrderEvent {
  // Clocks stand still or are set back now and then; no two events of a log have the same time.
  const at = state === undefined ? now : Math.max(now, state.changedAt + 1)
  switch (command.type) {
    case 'CreateOrder':
      if (state !== undefined) throw new OrderRefused('The order exists already.')
      if (!Number.isSafeInteger(command.totalCents) || command.totalCents <= 0) {
        throw new OrderRefused(`A total is a whole number of cents above 0, not ${command.totalCents}.`)
      }
      return { type: 'OrderCreated', orderId, at, totalCents: command.totalCents }
    case 'PayOrder':
      requireStatus(state, 'created', 'paid')
      return { type: 'OrderPaid', orderId, at, paymentId: command.paymentId }
    case 'ShipOrder':
      requireStatus(state, 'paid', 'shipped')
      return { type: 'OrderShipped', orderId, at, trackingId: command.trackingId }
    case 'DeliverOrder':
      requireStatus(state, 'shipped', 'delivered')
      return { type: 'OrderDelivered', orderId, at }
  }
}

function requireStatus(state: OrderState | undefined, needed: OrderState['status'], wanted: string): void {
  if (state === undefined) throw new OrderRefused(`An order that nobody created can't be ${wanted}.`)
  if (state.status !== needed) {
    throw new OrderRefused(`An order that is ${state.status} can't be ${wanted}: it has to be ${needed}.`)
  }
}

/** Handles the commands for the orders of one server. */
export class OrderDesk {
  readonly #serverUrl: string
  readonly #now: () => number

  constructor(serverUrl: string, now: () => number = Date.now) {
    this.#serverUrl = serverUrl
    this.#now = now
  }

  /** Stores what the command makes happen, once, and gives the order after it. Throws `OrderRefused`. */
  async handle(orderId: string, command: OrderCommand): Promise<OrderAt> {
    const url = orderUrl(this.#serverUrl, orderId)
    const log = await DurableStream.create({ url, contentType: 'application/json' })
    const commandId = randomUUID()
    let before = await replay(url)
    for (;;) {
      const event = decide(orderId, before.state, command, this.#now())
      try {
        await appendAfter(log, before, event, commandId)
        return await replay(url, before)
      } catch (error) {
        if (!(error instanceof DurableStreamError) || error.code !== 'CONFLICT_SEQ') throw error
        const now = await replay(url, before)
        // Somebody else was faster: the command is judged again. If nobody was, trying again changes nothing.
        if (now.offset === before.offset) throw error
        before = now
      }
    }
  }
}

/**
 * Appends an event to a log that has not grown since it was read. The version goes along as `Stream-Seq`, which the
 * server only takes if it is greater than the last one. The command is a producer of its own with a single message: if
 * the answer is lost and the request repeated, the server knows it.
 */
async function appendAfter(
  log: DurableStream,
  { state }: OrderAt,
  event: OrderEvent,
  commandId: string,
): Promise<void> {
  const seq = String((state?.version ?? 0) + 1).padStart(12, '0')
  await log.append(event, { seq, producerId: commandId, producerEpoch: 0, producerSeq: 0 })
}
