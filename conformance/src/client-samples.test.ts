/** The event sourcing guide of the protocol's project, as its readers write it: only the import differs. */
import { DurableStream, IdempotentProducer, stream } from '@millrace/client'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { SERVERS, type ServerUnderTest } from './both-servers.fixture.ts'

interface OrderState {
  status: 'created' | 'paid' | 'shipped'
  total: number
  paymentId?: string
  shippedAt?: number
}

interface Snapshot {
  offset: string
  state: OrderState
}

const initialState: OrderState = { status: 'created', total: 0 }

// biome-ignore lint/suspicious/noExplicitAny: the guide's reducers take untyped events
function applyEvent(state: OrderState, event: any): OrderState {
  switch (event.type) {
    case 'OrderCreated':
      return { ...state, total: event.total }
    case 'OrderPaid':
      return { ...state, status: 'paid', paymentId: event.paymentId }
    case 'OrderShipped':
      return { ...state, status: 'shipped', shippedAt: event.timestamp }
    default:
      return state
  }
}

describe.each(SERVERS)('with $name', ({ start }) => {
  let server: ServerUnderTest
  let count = 0

  beforeAll(async () => {
    server = await start()
  })

  afterAll(() => server.close())

  afterEach(() => {
    vi.restoreAllMocks()
  })

  const newUrl = () => `${server.url}/v1/stream/orders/${++count}/events`

  async function writeOrder(url: string): Promise<DurableStream> {
    const eventLog = await DurableStream.create({ url, contentType: 'application/json' })
    await eventLog.append({ type: 'OrderCreated', orderId: '123', total: 99.99, timestamp: 1000 })
    await eventLog.append({ type: 'OrderPaid', orderId: '123', paymentId: 'pay_xyz', timestamp: 2000 })
    return eventLog
  }

  it('(C-003) appends events, and rebuilds the state from them at any time', async () => {
    const url = newUrl()
    await writeOrder(url)
    const res = await stream({ url, offset: '-1', live: false })
    const events = await res.json()

    expect(events.reduce(applyEvent, initialState)).toEqual({
      status: 'paid',
      total: 99.99,
      paymentId: 'pay_xyz',
    })
    const eventsUntilTime = events.filter((e) => e.timestamp <= 1500)
    expect(eventsUntilTime.reduce(applyEvent, initialState)).toEqual({ status: 'created', total: 99.99 })
  })

  it('(C-003) replays, then follows live, with nobody looking at closed', async () => {
    const url = newUrl()
    const eventLog = await writeOrder(url)
    const controller = new AbortController()
    const res = await stream({ url, offset: '-1', live: true, signal: controller.signal })
    let state = initialState
    let checkpoint = ''
    res.subscribeJson(async (batch) => {
      for (const event of batch.items) {
        state = applyEvent(state, event)
      }
      checkpoint = batch.offset
    })
    await vi.waitFor(() => expect(state.status).toBe('paid'), { timeout: 15_000 })
    await eventLog.append({ type: 'OrderShipped', orderId: '123', timestamp: 3000 })
    await vi.waitFor(() => expect(state).toMatchObject({ status: 'shipped', shippedAt: 3000 }), {
      timeout: 15_000,
    })
    controller.abort()

    expect(await eventLog.head()).toMatchObject({ offset: checkpoint })
  })

  it('(C-003) replays from a snapshot what came after it', async () => {
    const url = newUrl()
    const eventLog = await writeOrder(url)
    const before = await stream({ url, offset: '-1', live: false })
    const events = await before.json()
    const snapshot: Snapshot = { offset: before.offset, state: events.reduce(applyEvent, initialState) }
    const recent = async () => (await stream({ url, offset: snapshot.offset, live: false })).json()

    expect(await recent()).toEqual([])
    await eventLog.append({ type: 'OrderShipped', orderId: '123', timestamp: 3000 })
    const state = (await recent()).reduce(applyEvent, snapshot.state)
    expect(state).toEqual({ status: 'shipped', total: 99.99, paymentId: 'pay_xyz', shippedAt: 3000 })
  })

  it('(C-003) creates the log again, and writes to it exactly once', async () => {
    const url = newUrl()
    await writeOrder(url)
    const eventLog = await DurableStream.create({ url, contentType: 'application/json' })
    const producer = new IdempotentProducer(eventLog, 'order-service-1', { epoch: 0, autoClaim: true })
    producer.append(JSON.stringify({ type: 'OrderCreated', orderId: '124' }))
    producer.append(JSON.stringify({ type: 'OrderPaid', orderId: '124' }))
    await producer.flush()
    await producer.close()
    const events = await (await stream({ url, offset: '-1', live: false })).json()

    expect(events.map(({ type, orderId }) => `${type} ${orderId}`)).toEqual([
      'OrderCreated 123',
      'OrderPaid 123',
      'OrderCreated 124',
      'OrderPaid 124',
    ])
    expect(await eventLog.head()).toMatchObject({ streamClosed: true })
  })
})
