/** The order itself: what its events amount to. */
import type { OrderEvent } from './order-events.ts'

/** Where an order is on its way. */
export type OrderStatus = 'created' | 'paid' | 'shipped' | 'delivered'

/** What is known about an order after some of its events. */
export interface OrderState {
  readonly orderId: string
  readonly status: OrderStatus
  readonly totalCents: number
  /** How many events it is made of. */
  readonly version: number
  /** Time of its last event. */
  readonly changedAt: number
  readonly paymentId?: string
  readonly trackingId?: string
  readonly deliveredAt?: number
}

/** The state after one more event; `undefined` is an order that nobody has created yet. */
export function applyEvent(state: OrderState | undefined, event: OrderEvent): OrderState | undefined {
  if (event.type === 'OrderCreated') {
    const { orderId, totalCents, at } = event
    return { orderId, totalCents, status: 'created', version: 1, changedAt: at }
  }
  if (state === undefined) return undefined
  const next = { ...state, version: state.version + 1, changedAt: event.at }
  switch (event.type) {
    case 'OrderPaid':
      return { ...next, status: 'paid', paymentId: event.paymentId }
    case 'OrderShipped':
      return { ...next, status: 'shipped', trackingId: event.trackingId }
    case 'OrderDelivered':
      return { ...next, status: 'delivered', deliveredAt: event.at }
    default:
      // Written by a newer program: it counts, so that the version stays the number of events.
      return next
  }
}
