/** Time travel: the order as it was at some time in the past. */
import { stream } from '@millrace/client'
import type { OrderEvent } from './order-events.ts'
import { applyEvent, type OrderState } from './order-state.ts'

/**
 * Stops at the first event that is later instead of filtering: a beginning of the log is a state that the order was in,
 * an arbitrary selection of its events may be none.
 */
export async function stateAt(url: string, at: number): Promise<OrderState | undefined> {
  const response = await stream<OrderEvent>({ url, offset: '-1', live: false })
  let state: OrderState | undefined
  for await (const event of response.jsonStream()) {
    if (event.at > at) break
    state = applyEvent(state, event)
  }
  return state
}
