/** The read models: what the pages that list orders and their history need, and nothing else. */
import type { OrderEvent } from './order-events.ts'
import type { OrderStatus } from './order-state.ts'

/** One line of a list of orders. */
export interface OrderSummary {
  readonly orderId: string
  readonly status: OrderStatus
  readonly totalCents: number
  readonly createdAt: number
}

/** One line of an order's history. */
export interface AuditEntry {
  readonly at: number
  readonly what: string
}

/** Both read models of one order. */
export interface OrderViews {
  readonly summary: OrderSummary | undefined
  /** Applying an event twice would show here. */
  readonly audit: readonly AuditEntry[]
}

/** The views of an order that has no events. */
export const EMPTY_VIEWS: OrderViews = { summary: undefined, audit: [] }

/** The views after one more event. */
export function projectEvent({ summary, audit }: OrderViews, event: OrderEvent): OrderViews {
  return {
    summary: projectToSummary(summary, event),
    audit: [...audit, { at: event.at, what: event.type }],
  }
}

const STATUS_AFTER: Readonly<Record<OrderEvent['type'], OrderStatus>> = {
  OrderCreated: 'created',
  OrderPaid: 'paid',
  OrderShipped: 'shipped',
  OrderDelivered: 'delivered',
}

function projectToSummary(summary: OrderSummary | undefined, event: OrderEvent): OrderSummary | undefined {
  if (event.type === 'OrderCreated') {
    const { orderId, totalCents, at } = event
    return { orderId, totalCents, status: 'created', createdAt: at }
  }
  return summary && { ...summary, status: STATUS_AFTER[event.type] ?? summary.status }
}
