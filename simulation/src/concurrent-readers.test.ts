/** Writers and readers that do not wait for each other, on the store of a server, with checkpoints all the time. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createHandler, type MillraceHandler } from '@millrace/server'
import { fileStorage } from '@millrace/storage-file'
import { afterEach, describe, expect, it } from 'vitest'
import { FaultyServer, SMALL_LIMITS } from './faulty-server.fixture.ts'
import { promisesSettled } from './machine.ts'

const TEXT = { 'content-type': 'text/plain' }
const PATHS = ['a', 'b']
const WRITERS = 6
const APPENDS = 40
const cleanUps: (() => Promise<void>)[] = []

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0)) await cleanUp()
})

async function onRealDisk(): Promise<MillraceHandler> {
  const dataDir = await mkdtemp(join(tmpdir(), 'millrace-readers-'))
  const limits = { ...SMALL_LIMITS, checkpointBytes: 3000, maxTailBytes: 20_000, segmentBytes: 64 * 1024 }
  const handler = createHandler({
    storage: fileStorage({ dataDir, limits }),
    limits: { chunkBytes: 4096, followChunkBytes: 4096 },
  })
  cleanUps.push(async () => {
    await handler.close()
    await rm(dataDir, { recursive: true, force: true })
  })
  await handler.ready
  return handler
}

async function send(
  handler: MillraceHandler,
  method: string,
  path: string,
  body?: string,
): Promise<Response> {
  const init = { method, headers: TEXT, ...(body !== undefined && { body }) }
  return handler.fetch(new Request(`http://localhost/v1/stream/${path}`, init))
}

/** One append unit: who wrote it, which one it is, and how long its filling has to be. */
function unit(writer: number, n: number): string {
  return `<${writer}:${n}:${'x'.repeat((writer * 37 + n * 53) % 400)}>`
}

const UNIT = /<(\d+):(\d+):(x*)>/y

/** The units of a text from its start on; throws where one is torn. */
function unitsOf(text: string): readonly string[] {
  const units: string[] = []
  UNIT.lastIndex = 0
  for (let at = 0; at < text.length; at = UNIT.lastIndex) {
    const match = UNIT.exec(text)
    if (match === null || match[0] !== unit(Number(match[1]), Number(match[2]))) {
      throw new Error(`a torn unit at ${at}: ${text.slice(at, at + 80)}`)
    }
    units.push(match[0])
  }
  return units
}

function positionOf(response: Response): number {
  return Number((response.headers.get('stream-next-offset') ?? '').slice(17))
}

/** Reads a stream to its tail again and again until it is told to stop, and looks at every answer. */
async function watch(handler: MillraceHandler, path: string, isOver: () => boolean): Promise<number> {
  let answers = 0
  while (!isOver()) {
    const tail = positionOf(await send(handler, 'HEAD', path))
    let text = ''
    for (let offset = '-1', isAtTail = false; !isAtTail; answers++) {
      const response = await send(handler, 'GET', `${path}?offset=${offset}`)
      text += await response.text()
      offset = response.headers.get('stream-next-offset') ?? ''
      isAtTail = response.headers.get('stream-up-to-date') === 'true'
      // The head of an answer and its body are of one moment.
      if (positionOf(response) !== text.length) throw new Error(`${offset} after ${text.length} bytes`)
    }
    if (text.length < tail) throw new Error(`HEAD said ${tail}, but there were ${text.length} bytes later`)
    unitsOf(text)
    // What is in memory is answered without a turn of the event loop: the writers need one.
    await promisesSettled()
  }
  return answers
}

describe('while many write', () => {
  it('R-339: R-340: tails and bytes agree in every answer, and no reader sees a part of an append', async () => {
    const handler = await onRealDisk()
    for (const path of PATHS) await send(handler, 'PUT', path)
    let isOver = false
    const readers = PATHS.flatMap((path) => [path, path]).map((path) => watch(handler, path, () => isOver))
    // Whoever fails ends the others.
    const watched = Promise.all(readers).finally(() => {
      isOver = true
    })
    const statuses = await Promise.all(
      Array.from({ length: WRITERS }, async (_, writer) => {
        const seen = new Set<number>()
        for (let n = 0; n < APPENDS; n++) {
          for (const path of PATHS) seen.add((await send(handler, 'POST', path, unit(writer, n))).status)
        }
        return [...seen]
      }),
    )
    isOver = true
    const answers = await watched

    expect(statuses).toEqual(statuses.map(() => [204]))
    expect(Math.min(...answers)).toBeGreaterThan(1)
    for (const path of PATHS) {
      let text = ''
      for (let offset = '-1'; ; ) {
        const response = await send(handler, 'GET', `${path}?offset=${offset}`)
        text += await response.text()
        offset = response.headers.get('stream-next-offset') ?? ''
        if (response.headers.has('stream-up-to-date')) break
      }
      const units = unitsOf(text)
      expect(units.length).toBe(WRITERS * APPENDS)
      expect(new Set(units).size).toBe(WRITERS * APPENDS)
    }
  }, 60_000)
})

describe('R-340: a stream that is deleted while its bytes are being read', () => {
  it.each(['', '&live=long-poll', '&live=sse'])(
    'gives all of them or says that it is gone (%s)',
    async (live) => {
      const server = await FaultyServer.started()
      cleanUps.push(() => server.close())
      const body = 'x'.repeat(3000)
      await server.send('PUT', 'a', { headers: TEXT, body })
      await server.restart()
      let goOn = (): void => undefined
      const gate = new Promise<void>((resolve) => {
        goOn = resolve
      })
      let reached = (): void => undefined
      const reading = new Promise<void>((resolve) => {
        reached = resolve
      })
      server.onStep = ({ kind, name }) => {
        if (kind !== 'read' || !name.startsWith('blocks/')) return undefined
        reached()
        return gate
      }
      const asked = server.send('GET', `a?offset=-1${live}`)
      await reading
      const deleted = await server.send('DELETE', 'a')
      const again = await server.send('PUT', 'a', { headers: TEXT, body: 'another' })
      // Whatever was in the file is dead now: it is removed while it is being read.
      const checkpoint = server.checkpoint()
      await server.send('HEAD', 'a')
      goOn()
      await checkpoint
      const answer = await asked

      expect([deleted.status, again.status]).toEqual([204, 201])
      expect([200, 404]).toContain(answer.status)
      // Events that have begun end where the stream does; whoever comes back is told that it is gone.
      const isCutShort = live === '&live=sse' && answer.text === ''
      if (answer.status === 200 && !isCutShort) expect(answer.text).toContain(body)
      expect(answer.text).not.toContain('another')
      expect(server.errors).toEqual([])
      expect(await server.textOf('a')).toBe('another')
    },
  )
})
