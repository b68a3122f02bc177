/**
 * The names that the event sourcing page leaves to its reader, working in memory. Every test gets a copy of this module
 * beside the samples it runs, so each has an order, and with it URLs, of its own.
 */
export interface Order {
  status: 'created' | 'paid' | 'shipped' | 'delivered'
  total: number
}

export interface Snapshot {
  offset: string
  state: Order
}

export interface AuditEntry {
  type: string
}

interface OrderEvent {
  type: string
  orderId: string
}

export const orderId: string = crypto.randomUUID()
export const userId: string = crypto.randomUUID()
export const workspaceId: string = crypto.randomUUID()
export const eventLogUrl: string = `https://your-server.com/v1/stream/orders/${orderId}/events`
export const total = 42
export const paymentId = 'pay_1'

export const checkpoints: string[] = []
export function saveCheckpoint(offset: string): void {
  checkpoints.push(offset)
}

export const snapshots: Map<string, Snapshot> = new Map()
export async function saveSnapshot(id: string, snapshot: Snapshot): Promise<void> {
  snapshots.set(id, snapshot)
}
export async function loadSnapshot(id: string): Promise<Snapshot | undefined> {
  return snapshots.get(id)
}
export async function replayFromBeginning(id: string): Promise<Order> {
  return { status: 'created', total: id === orderId ? -1 : -2 }
}

export function projectToAudit(trail: AuditEntry[], event: OrderEvent): AuditEntry[] {
  return [...trail, { type: event.type }]
}
export const summaries: unknown[] = []
export async function saveSummary(summary: object | null): Promise<void> {
  summaries.push(summary)
}
export const auditTrails: AuditEntry[][] = []
export async function saveAuditTrail(trail: AuditEntry[]): Promise<void> {
  auditTrails.push(trail)
}

const view = new Map<string, OrderEvent[]>()
export async function updateMaterializedView(event: OrderEvent): Promise<void> {
  view.set(event.orderId, [...(view.get(event.orderId) ?? []), event])
}
export const db = {
  async query(_sql: string, [id]: readonly string[]): Promise<readonly OrderEvent[]> {
    return view.get(id ?? '') ?? []
  },
}
