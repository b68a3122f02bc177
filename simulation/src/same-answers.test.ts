/** One history of requests against every backend: the answers are the same, whatever happens below. */
import { memoryStorage } from '@millrace/engine'
import { createHandler, type MillraceHandler } from '@millrace/server'
import { expect, it } from 'vitest'
import { FaultyServer } from './faulty-server.fixture.ts'
import { type RandomRequest, RandomRequests } from './random-requests.fixture.ts'
import { SeededRandom } from './seeded-random.ts'

const REQUESTS = 150
const SEEDS = Array.from({ length: 12 }, (_, at) => 1 + at)
const TIMES = { longPollTimeoutMs: 5 }

/** Tags of earlier answers, by path: a backend sends back its own, for they name its streams' ids. */
type Tags = Map<string, string>

/** What of an answer is the same everywhere. Cursors follow the clock, and ids are drawn. */
interface Comparable {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly text: string
}

async function exchange(handler: MillraceHandler, request: RandomRequest, tags: Tags): Promise<Comparable> {
  const { method, path, body } = request
  const tag = request.repeatsTag ? tags.get(path) : undefined
  const headers = { ...request.headers, ...(tag !== undefined && { 'if-none-match': tag }) }
  const init = { method, headers, ...(body !== undefined && { body: Buffer.from(body) }) }
  const response = await handler.fetch(new Request(`http://localhost/v1/stream/${path}`, init))
  const etag = response.headers.get('etag')
  if (etag !== null) tags.set(path, etag)
  const plain = Object.fromEntries(response.headers)
  if (etag !== null) plain.etag = etag.replace(/^"[^:]*:/, '"id:')
  if ('stream-cursor' in plain) plain['stream-cursor'] = 'cursor'
  const text = (await bodyOf(response)).replaceAll(/"streamCursor":"\d+"/g, '"streamCursor":"cursor"')
  return { status: response.status, headers: plain, text }
}

/** The whole body; of one that does not end by itself, what comes until the reader is up to date. */
async function bodyOf(response: Response): Promise<string> {
  if (response.headers.get('content-type') !== 'text/event-stream') return response.text()
  const reader = response.body?.getReader()
  const decoder = new TextDecoder()
  let text = ''
  for (;;) {
    const read = await reader?.read()
    if (read?.value === undefined) return text
    text += decoder.decode(read.value, { stream: true })
    if (!text.includes('"upToDate":true')) continue
    await reader?.cancel()
    return text
  }
}

/** What happens to the file store between two requests; to clients it must make no difference. */
async function disturb(server: FaultyServer, random: SeededRandom): Promise<void> {
  const draw = random.next()
  if (draw < 0.06) await server.checkpoint()
  else if (draw < 0.08) await server.pass(1500)
  else if (draw < 0.1) await server.restart()
  else if (draw < 0.13) {
    server.crash(random.chance(0.5) ? 'power' : 'process')
    await server.restart()
  }
}

/** How often each status came, so that a history of nothing but refusals shows. */
type Counts = Map<number, number>

async function compare(
  seed: number,
  durability: 'file-durable' | 'file-fast',
  counts: Counts,
): Promise<void> {
  const random = new SeededRandom(seed)
  const requests = new RandomRequests(random)
  const engine = { chunkBytes: 256, followChunkBytes: 128 }
  const memory = createHandler({
    storage: memoryStorage(),
    limits: engine,
    sseHeartbeatIntervalMs: 0,
    ...TIMES,
  })
  // A crash takes what `file-fast` has not synced yet, as promised: only an orderly stop is no difference there.
  const isQuiet = durability === 'file-fast'
  const server = await FaultyServer.started({ seed, durability, engine, ...TIMES })
  const [memoryTags, fileTags]: readonly [Tags, Tags] = [new Map(), new Map()]
  try {
    for (let turn = 0; turn < REQUESTS; turn++) {
      if (isQuiet) await (random.chance(0.05) ? server.restart() : server.pass(10))
      else await disturb(server, random)
      const request = requests.next()
      const expected = await exchange(memory, request, memoryTags)
      const actual = await exchange(server.handler, request, fileTags)
      expect(actual, `seed ${seed}, request ${turn}: ${JSON.stringify(request)}`).toEqual(expected)
      requests.learn(actual.headers['stream-next-offset'] ?? null)
      counts.set(actual.status, (counts.get(actual.status) ?? 0) + 1)
    }
    expect(server.errors).toEqual([])
  } finally {
    await Promise.all([memory.close(), server.close()])
  }
}

it.each(['file-durable', 'file-fast'] as const)(
  'R-342: %s answers every request as memory does, through checkpoints, restarts and crashes',
  async (durability) => {
    const counts: Counts = new Map()
    for (const seed of SEEDS) await compare(seed, durability, counts)

    // All the answers that there are to compare did come.
    const seen = [...counts].filter(([, count]) => count >= 3).map(([status]) => status)
    expect(seen).toEqual(expect.arrayContaining([200, 201, 204, 304, 400, 404, 409]))
  },
  120_000,
)
