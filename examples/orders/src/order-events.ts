/** What can happen to an order. Events are facts: they are stored as they are and never changed. */

interface EventFacts {
  readonly orderId: string
  /** Milliseconds since 1970; always later than the event before. */
  readonly at: number
}

/** One event of one order. */
export type OrderEvent = EventFacts &
  (
    | { readonly type: 'OrderCreated'; readonly totalCents: number }
    | { readonly type: 'OrderPaid'; readonly paymentId: string }
    | { readonly type: 'OrderShipped'; readonly trackingId: string }
    | { readonly type: 'OrderDelivered' }
  )
