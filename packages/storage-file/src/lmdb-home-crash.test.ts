import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { lmdbHome } from './lmdb-home.ts'
import {
  childCommand,
  followChild,
  makeTestFolder,
  RUNTIMES,
  startChild,
  type TestChild,
} from './test-child.fixture.ts'

const script = new URL('./home-child.fixture.ts', import.meta.url)

let folder: ReturnType<typeof makeTestFolder>
let place: string
let child: TestChild | undefined

beforeEach(() => {
  folder = makeTestFolder()
  place = join(folder.path, 'home')
})

afterEach(async () => {
  child?.signal('SIGKILL')
  await child?.ended
  child = undefined
  folder.remove()
})

/** The commits that the home shows: one, if each is there whole or not at all. */
async function commitsFound(
  count: number,
): Promise<{ readonly numbers: readonly number[]; readonly last: number }> {
  const home = await lmdbHome(place)
  const values = home.range('k/', 'k/~', Number.POSITIVE_INFINITY)
  expect(values.length).toBe(count)
  const numbers = new Set(values.map(([, value]) => Number.parseInt(Buffer.from(value).toString(), 10)))
  const turns = home.range('t/', 't/~', 100).map(([key]) => Number(key.slice(2)))
  await home.close()
  return { numbers: [...numbers], last: Math.max(...turns) }
}

describe.each(RUNTIMES)('a process on %s that is killed while it commits', (runtime) => {
  it.each([500, 20_000])(
    'leaves commits of %d changes whole, and all that it acknowledged',
    async (count) => {
      let next = 1
      for (let round = 0; round < 4; round++) {
        child = await startChild(runtime, script, [place, `${count}`, `${next}`])
        const acknowledged = Number(await child.line(1 + round))
        await new Promise((resolve) => setTimeout(resolve, 3 + 11 * round))
        child.signal('SIGKILL')
        await child.ended
        const last = Number(child.lines.at(-1))
        child = undefined
        const found = await commitsFound(count)
        expect(found.numbers).toEqual([found.last])
        expect(last).toBeGreaterThanOrEqual(acknowledged)
        expect([last, last + 1]).toContain(found.last)
        next = found.last + 1
      }
    },
    30_000,
  )
})

/** What a process says last whose home can grow to 200 KiB, and whose disk says that so many bytes are free. */
async function fillHome(
  freeBytes: number,
): Promise<{ readonly acknowledged: number; readonly verdict: string }> {
  const [command, file] = await childCommand('node', script)
  const limited = ['-c', 'ulimit -f 400; exec "$0" "$@"', command, file, place, '500', '1', `${freeBytes}`]
  child = followChild(spawn('sh', limited, { stdio: ['pipe', 'pipe', 'ignore'] }))
  await child.ended
  const [acknowledged, verdict] = child.lines.slice(-2)
  child = undefined
  return { acknowledged: Number(acknowledged), verdict: verdict ?? '' }
}

describe('a home that could not write all of a commit', () => {
  it('refuses every later one, is read on, and has lost nothing', async () => {
    const { acknowledged, verdict } = await fillHome(10_000_000)
    expect(verdict).toBe('Error, next refused, readable true')
    expect(acknowledged).toBeGreaterThan(1)
    expect(await commitsFound(500)).toEqual({ numbers: [acknowledged], last: acknowledged })
  }, 20_000)

  it('takes further ones if there was only no room', async () => {
    const { acknowledged, verdict } = await fillHome(1_000_000)
    expect(verdict).toBe('DiskFull, next taken, readable true')
    expect(acknowledged).toBeGreaterThan(1)
    expect(await commitsFound(500)).toEqual({ numbers: [acknowledged], last: acknowledged })
  }, 20_000)
})
