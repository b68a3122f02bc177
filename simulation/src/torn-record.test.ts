/** A crash in the middle of a record, at each of its bytes, and crashes of the recovery itself. */
import { createHandler } from '@millrace/server'
import { openFileStore } from '@millrace/storage-file'
import { afterEach, describe, expect, it } from 'vitest'
import { crashEverywhere, FaultyServer, LOST, SMALL_LIMITS } from './faulty-server.fixture.ts'
import { wrapFiles } from './port-wrap.ts'
import { SimClock } from './sim-clock.ts'
import type { Disk } from './store-parts.ts'

const TEXT = { 'content-type': 'text/plain' }
const HEADER_BYTES = 64
const servers: FaultyServer[] = []

afterEach(async () => {
  for (const server of servers.splice(0)) await server.close()
})

/** A server whose next journal record is cut off by a crash after so many bytes. */
class Tearing {
  readonly server: FaultyServer
  /** Bytes of the next record that reach the disk; `undefined`: all of them, and no crash. */
  cutAfter: number | undefined
  /** Bytes of the newest record. */
  recordBytes = 0

  constructor() {
    this.server = new FaultyServer({ wrap: (disk) => this.#wrap(disk) })
    servers.push(this.server)
  }

  #wrap(disk: Disk): Disk {
    return wrapFiles(disk, 'journal', (file) => ({
      write: async (position, pieces) => {
        if (position < HEADER_BYTES || this.cutAfter === undefined) {
          if (position >= HEADER_BYTES) this.recordBytes = Buffer.concat(pieces).length
          return file.write(position, pieces)
        }
        await file.write(position, [Buffer.concat(pieces).subarray(0, this.cutAfter)])
        this.cutAfter = undefined
        // The machine lives on, so what was written is there to the byte.
        this.server.crash('process')
        return file.sync()
      },
    }))
  }
}

async function twoAppends(): Promise<Tearing> {
  const tearing = new Tearing()
  const { server } = tearing
  await server.start()
  await server.send('PUT', 'a', { headers: TEXT, body: 'one,' })
  await server.send('POST', 'a', { headers: TEXT, body: 'two,' })
  return tearing
}

const THIRD = { headers: TEXT, body: `three:${'x'.repeat(40)},` }

describe('R-338: a record that a crash has torn', () => {
  it('is gone as a whole, whichever of its bytes were written, and appends go on where it began', async () => {
    const whole = await twoAppends()
    await whole.server.send('POST', 'a', THIRD)
    const { recordBytes } = whole
    const texts: string[] = []
    for (let cutAfter = 0; cutAfter < recordBytes; cutAfter++) {
      const tearing = await twoAppends()
      tearing.cutAfter = cutAfter
      const answer = await tearing.server.ask('POST', 'a', THIRD)
      await tearing.server.restart()
      await tearing.server.send('POST', 'a', { headers: TEXT, body: 'four,' })
      texts.push(`${answer} ${await tearing.server.textOf('a')}`)
      await tearing.server.close()
    }

    expect(recordBytes).toBeGreaterThan(100)
    // Up to the padding a record is torn; without its padding alone it is whole, and may stay though nobody was told.
    const torn = texts.filter((text) => text === `${LOST} one,two,four,`)
    const kept = texts.filter((text) => text === `${LOST} one,two,${THIRD.body}four,`)
    expect(torn.length + kept.length).toBe(recordBytes)
    expect(kept.length).toBeLessThan(8)
    expect(texts.slice(0, torn.length)).toEqual(torn)
  }, 60_000)

  it('stays gone after further crashes, and the same is found each time', async () => {
    const tearing = await twoAppends()
    const { server } = tearing
    tearing.cutAfter = 70
    await server.ask('POST', 'a', THIRD)
    const found: string[] = []
    for (const kind of ['power', 'process', 'power'] as const) {
      await server.restart()
      found.push(await server.textOf('a'))
      server.crash(kind)
    }
    await server.restart()
    await server.send('POST', 'a', { headers: TEXT, body: 'four,' })
    await server.restart()

    expect(found).toEqual(['one,two,', 'one,two,', 'one,two,'])
    expect(await server.textOf('a')).toBe('one,two,four,')
  })
})

describe.each(['power', 'process'] as const)('R-338: recovery that is ended by a %s crash', (kind) => {
  it('is begun again, at whatever step it was, and finds the same', async () => {
    const crashes = await crashEverywhere(
      { kind },
      async (server) => {
        await server.send('PUT', 'a', { headers: TEXT, body: 'one,' })
        await server.checkpoint()
        await server.send('PUT', 'gone', { headers: TEXT, body: 'x' })
        for (const body of ['two,', 'x'.repeat(3000), 'y'.repeat(4000), ',three,']) {
          await server.send('POST', 'a', { headers: TEXT, body })
        }
        await server.send('DELETE', 'gone')
        await server.send('POST', 'a', { headers: { 'stream-closed': 'true' } })
        server.crash(kind)
      },
      async (server) => {
        await server.restart().catch((error: unknown) => {
          if (!server.isDown) throw error
        })
      },
      async (server) => {
        const head = await server.send('HEAD', 'a')
        expect(await server.textOf('a')).toBe(`one,two,${'x'.repeat(3000)}${'y'.repeat(4000)},three,`)
        expect(head.headers.get('stream-closed')).toBe('true')
        expect((await server.send('GET', 'gone')).status).toBe(404)
      },
    )

    expect(crashes).toBeGreaterThan(10)
  }, 60_000)
})

it('R-338: nothing is read before recovery is over', async () => {
  const server = await FaultyServer.started()
  await server.send('PUT', 'a', { headers: TEXT, body: 'all of it' })
  server.crash('power')
  let goOn = (): void => undefined
  const gate = new Promise<void>((resolve) => {
    goOn = resolve
  })
  server.onStep = ({ kind, name }) => (kind === 'read' && name.startsWith('journal/') ? gate : undefined)
  const { disk, home } = server
  server.isDown = false
  const handler = createHandler({
    storage: openFileStore({
      disk,
      openHome: async () => home,
      durability: 'file-durable',
      clock: new SimClock({ passedMs: 0 }),
      limits: SMALL_LIMITS,
    }),
  })
  const ask = (path: string): Promise<Response> => handler.fetch(new Request(`http://localhost${path}`))
  const early = [await ask('/v1/stream/a'), await ask('/readyz')]
  goOn()
  await handler.ready
  const late = [await ask('/v1/stream/a'), await ask('/readyz')]
  const text = await late[0]?.text()
  await handler.close()

  expect(early.map(({ status }) => status)).toEqual([503, 503])
  expect(late.map(({ status }) => status)).toEqual([200, 200])
  expect(text).toBe('all of it')
})
