import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { DiskLocked } from './disk.ts'
import type { Home, HomeChange } from './home.ts'
import { HomeLost, HomeUnreadable } from './home.ts'
import { describeHome } from './home-contract.fixture.ts'
import { lmdbHome } from './lmdb-home.ts'
import { makeTestFolder } from './test-child.fixture.ts'

const folders: ReturnType<typeof makeTestFolder>[] = []
const places = new WeakMap<Home, string>()

function newPlace(): string {
  const folder = makeTestFolder()
  folders.push(folder)
  return join(folder.path, 'home')
}

async function openAt(place: string): Promise<Home> {
  const home = await lmdbHome(place)
  places.set(home, place)
  return home
}

async function reopen(home: Home, between: (place: string) => void = () => undefined): Promise<Home> {
  const place = places.get(home) ?? ''
  await home.close()
  between(place)
  return openAt(place)
}

afterAll(() => {
  for (const folder of folders) folder.remove()
})

describeHome({
  open: () => openAt(newPlace()),
  reopen,
  damage: (home, _key, value) =>
    reopen(home, (place) => {
      const path = join(place, 'data.mdb')
      const data = readFileSync(path)
      // Old pages have it too: whichever counts is among them.
      for (let at = data.indexOf(value); at >= 0; at = data.indexOf(value, at + 1)) {
        data.writeUInt8(data.readUInt8(at + 5) ^ 4, at + 5)
      }
      writeFileSync(path, data)
    }),
})

describe('a new home', () => {
  it('is for its owner only', async () => {
    const place = newPlace()
    const home = await lmdbHome(place)
    await home.commit([['a', Buffer.from('b')]])
    const modes = ['', 'data.mdb', 'lock.mdb'].map((name) =>
      (statSync(join(place, name)).mode & 0o777).toString(8),
    )
    expect(modes).toEqual(['700', '600', '600'])
    await home.close()
  })

  it('replaces what a crash left of an attempt to make it', async () => {
    const place = newPlace()
    mkdirSync(`${place}.new`)
    writeFileSync(join(`${place}.new`, 'data.mdb'), 'half')
    const home = await lmdbHome(place)
    await home.commit([['a', Buffer.from('b')]])
    expect(existsSync(`${place}.new`)).toBe(false)
    await home.close()
  })

  it('is not made in the place of one that has lost its data', async () => {
    const place = newPlace()
    await (await lmdbHome(place)).close()
    rmSync(join(place, 'data.mdb'))
    await expect(lmdbHome(place)).rejects.toThrow(HomeLost)
  })

  it('is not made where one is missing that has to be there', async () => {
    const place = newPlace()
    await expect(lmdbHome(place, { mayCreate: false })).rejects.toThrow(HomeLost)
    expect(existsSync(place)).toBe(false)
  })

  it.each([
    ['empty', Buffer.alloc(0)],
    ['short', Buffer.alloc(100, 1)],
    ['something else', Buffer.alloc(65_536, 'no database ')],
  ])('is not made of a file that is %s', async (_, bytes) => {
    const place = newPlace()
    mkdirSync(place)
    writeFileSync(join(place, 'data.mdb'), bytes)
    await expect(lmdbHome(place)).rejects.toThrow(HomeUnreadable)
  })

  it('is not made where its data directory is missing', async () => {
    await expect(lmdbHome(join(newPlace(), 'home'))).rejects.toThrow('ENOENT')
  })

  it('may have a dot in its name', async () => {
    const place = `${newPlace()}.d`
    const home = await lmdbHome(place)
    expect(existsSync(join(place, 'data.mdb'))).toBe(true)
    await home.close()
  })
})

describe('a large home', () => {
  it('takes 200,000 changes in one commit, seen whole or not at all', async () => {
    const home = await openAt(newPlace())
    const count = 200_000
    const changes = (turn: string): readonly HomeChange[] =>
      Array.from({ length: count }, (_, index) => [
        `k/${String((index * 7919) % count).padStart(9, '0')}`,
        Buffer.from(`${turn}${index % 977}`),
      ])
    const first = home.commit(changes('a'))
    const lastKey = `k/${String(count - 1).padStart(9, '0')}`
    const seen: string[] = []
    const look = (): void => {
      seen.push(`${home.range('k/', 'k/~', 3).length} ${home.get(lastKey) === undefined}`)
    }
    look()
    const looking = setInterval(look, 1)
    await first
    clearInterval(looking)
    expect(seen).toContain('0 true')
    expect(seen.filter((one) => one !== '0 true' && one !== '3 false')).toEqual([])
    await home.commit(changes('b'))
    const next = await reopen(home)
    const all = next.range('k/', 'k/~', Number.POSITIVE_INFINITY)
    expect(all.length).toBe(count)
    expect(all.every(([, value]) => value[0] === 98)).toBe(true)
    await next.close()
  }, 30_000)

  it('is read while it grows', async () => {
    const home = await openAt(newPlace())
    let isDone = false
    const growing = (async () => {
      for (let turn = 0; turn < 60; turn++) {
        await home.commit(
          Array.from({ length: 300 }, (_, index) => [`k/${turn}/${index}`, Buffer.alloc(1500, turn + 1)]),
        )
      }
      isDone = true
    })()
    let reads = 0
    while (!isDone) {
      for (let turn = 0; turn < 60; turn++) {
        const value = home.get(`k/${turn}/7`)
        expect(value?.every((byte) => byte === turn + 1) ?? true).toBe(true)
        reads++
      }
      await new Promise((resolve) => setImmediate(resolve))
    }
    await growing
    expect(reads).toBeGreaterThan(60)
    expect(home.range('k/59/', 'k/59/~', 1000).length).toBe(300)
    await home.close()
  }, 30_000)
})

it.each(['data.mdb', 'lock.mdb'])(
  'a folder in place of %s is refused, and does not end the process',
  async (name) => {
    const place = newPlace()
    await (await lmdbHome(place)).close()
    rmSync(join(place, name))
    mkdirSync(join(place, name))

    await expect(lmdbHome(place)).rejects.toMatchObject({ code: 'EISDIR', path: join(place, name) })
  },
)

it('one that is open is not opened a second time, and is free again once it was closed', async () => {
  const place = newPlace()
  const first = await lmdbHome(place)
  await expect(lmdbHome(place)).rejects.toThrow(DiskLocked)
  await first.close()
  await (await lmdbHome(place)).close()
})
