/** The memory bound: appends wait for a disk that cannot keep up, but not for ever, and nothing is lost by it. */
import { afterEach, describe, expect, it } from 'vitest'
import { FaultyServer } from './faulty-server.fixture.ts'
import { promisesSettled } from './machine.ts'

const TEXT = { 'content-type': 'text/plain' }
const WAIT_MS = 5000
const servers: FaultyServer[] = []

afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.crash()
    await server.close()
  }
})

interface Stalled {
  readonly server: FaultyServer
  readonly acknowledged: string
  /** Lets the disk go on. */
  release(): void
}

/** A server whose checkpoint hangs in the middle, with as many bytes in memory as it takes. */
async function stalled(): Promise<Stalled> {
  const server = await FaultyServer.started({
    limits: { checkpointBytes: 1000, maxTailBytes: 4000, roomWaitMs: WAIT_MS },
  })
  servers.push(server)
  await server.send('PUT', 'a', { headers: TEXT })
  await server.send('PUT', 'b', { headers: TEXT })
  let release = (): void => undefined
  const gate = new Promise<void>((resolve) => {
    release = resolve
  })
  server.onStep = ({ kind, name }) => (kind === 'write' && name.startsWith('blocks/') ? gate : undefined)
  let acknowledged = ''
  while (acknowledged.length < 4000) {
    const body = `<${'x'.repeat(498)}>`
    const { status } = await server.send('POST', 'a', { headers: TEXT, body })
    if (status !== 204) throw new Error(`an append below the bound is answered ${status}`)
    acknowledged += body
  }
  return { server, acknowledged, release }
}

/** An append, and whether it has been answered. */
function appending(server: FaultyServer): {
  readonly answer: ReturnType<FaultyServer['send']>
  isOver: boolean
} {
  const answer = server.send('POST', 'a', { headers: TEXT, body: 'more' })
  const asked = { answer, isOver: false }
  const over = (): void => {
    asked.isOver = true
  }
  answer.then(over, over)
  return asked
}

async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await promisesSettled()
}

describe('at the bound of bytes in memory', () => {
  it('an append waits, and is told to try again when the disk takes too long', async () => {
    const { server, acknowledged } = await stalled()
    const tail = (await server.send('HEAD', 'a')).headers.get('stream-next-offset')
    const asked = appending(server)
    await settled()
    await server.pass(WAIT_MS - 1)
    const wasOverEarly = asked.isOver
    await server.pass(1)
    const refused = await asked.answer

    expect(wasOverEarly).toBe(false)
    expect([refused.status, refused.headers.get('content-type')]).toEqual([503, 'application/problem+json'])
    expect(JSON.parse(refused.text)).toMatchObject({ code: 'UNAVAILABLE' })
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
    expect((await server.send('HEAD', 'a')).headers.get('stream-next-offset')).toBe(tail)
    expect(await server.textOf('a')).toBe(acknowledged)
    expect(server.errors).toEqual([])
  })

  it('an append that waits is stored as soon as the disk has caught up', async () => {
    const { server, acknowledged, release } = await stalled()
    const asked = appending(server)
    await settled()
    const wasOverEarly = asked.isOver
    release()

    expect((await asked.answer).status).toBe(204)
    expect(wasOverEarly).toBe(false)
    expect(await server.textOf('a')).toBe(`${acknowledged}more`)
    expect(server.clock.nextTimerInMs() ?? 0).toBeLessThanOrEqual(1000)
  })

  it('reads and deletions go on, and the server counts as ready', async () => {
    const { server, acknowledged } = await stalled()
    const deleted = await server.send('DELETE', 'b')
    const [gone, ready] = [await server.send('GET', 'b'), await server.send('GET', '/readyz')]

    expect([deleted.status, gone.status, ready.status]).toEqual([204, 404, 200])
    expect(await server.textOf('a')).toBe(acknowledged)
  })

  it('a producer that was told to try again does so, and is stored once', async () => {
    const { server, acknowledged, release } = await stalled()
    const stamped = {
      headers: { ...TEXT, 'producer-id': 'p', 'producer-epoch': '0', 'producer-seq': '0' },
      body: 'once',
    }
    const asked = server.send('POST', 'a', stamped)
    await settled()
    await server.pass(WAIT_MS)
    const refused = await asked
    release()
    const again = await server.send('POST', 'a', stamped)
    const twice = await server.send('POST', 'a', stamped)

    expect([refused.status, again.status, twice.status]).toEqual([503, 200, 204])
    expect(await server.textOf('a')).toBe(`${acknowledged}once`)
  })

  it('nothing acknowledged is lost by a crash', async () => {
    const { server, acknowledged } = await stalled()
    server.crash('power')
    server.onStep = () => undefined
    await server.restart()

    expect(await server.textOf('a')).toBe(acknowledged)
  })
})
