/** Reading the log of one order, and rebuilding the order from it. */
import { type Offset, stream } from '@millrace/client'
import type { OrderEvent } from './order-events.ts'
import { applyEvent, type OrderState } from './order-state.ts'

/** An order together with the place in its log that it stands for. */
export interface OrderAt {
  readonly state: OrderState | undefined
  /** Where to read on from. */
  readonly offset: Offset
}

/** An order before its first event. */
export const NO_ORDER: OrderAt = { state: undefined, offset: '-1' }

/** One log per order: replaying one never reads the others. */
export function orderUrl(serverUrl: string, orderId: string): string {
  return `${serverUrl}/v1/stream/orders/${encodeURIComponent(orderId)}/events`
}

/** The order as its log tells it up to now, read from `start` on. */
export async function replay(url: string, start: OrderAt = NO_ORDER): Promise<OrderAt> {
  const response = await stream<OrderEvent>({ url, offset: start.offset, live: false })
  const events = await response.json<OrderEvent>()
  return { state: events.reduce(applyEvent, start.state), offset: response.offset }
}
