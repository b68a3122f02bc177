import { joined, ownRanges, type Slice, type StreamState } from '@millrace/protocol'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { loadOne } from './contract-stream.ts'
import { path, textOf, World, type WorldOptions } from './engine-world.fixture.ts'
import { readRange, readSlice } from './slice-reader.ts'

const JSON_TYPE = 'application/json'

async function worldWith(type: string, body: string, options: WorldOptions = {}): Promise<World> {
  const world = new World(options)
  await world.done(world.create('a', { type, body }))
  return world
}

async function stateOf(world: World, name = 'a'): Promise<StreamState> {
  const stored = await loadOne(world.storage, path(name))
  if (stored === undefined) throw new Error('no such stream')
  return stored.state
}

/** All slices from a position on, as a client that follows them gets them. */
async function walk(world: World, name = 'a', from = 0): Promise<readonly Slice[]> {
  const slices: Slice[] = []
  for (let at = from; ; ) {
    const result = await world.done(world.read(name, at))
    if (result.kind === 'rejected') throw new Error(result.rejection.kind)
    if (result.slice.to === at && slices.length > 0) return slices
    slices.push(result.slice)
    at = result.slice.to
    if (at === result.slice.state.tail) return slices
  }
}

const texts = (slices: readonly Slice[]): readonly string[] => slices.map(textOf)

describe('bytes', () => {
  it('end on the grid, wherever a reader starts, and together are the stream', async () => {
    const body = Array.from({ length: 95 }, (_, at) => at % 10).join('')
    const world = await worldWith('application/octet-stream', body, { limits: { chunkBytes: 20 } })
    for (const from of [0, 1, 13, 20, 41]) {
      const slices = await walk(world, 'a', from)
      expect(texts(slices).join('')).toBe(body.slice(from))
      expect(slices.slice(0, -1).every(({ to }) => to % 20 === 0)).toBe(true)
      expect(slices.map((slice) => slice.from)).toEqual([from, ...slices.slice(0, -1).map(({ to }) => to)])
    }
  })

  it('are read no further than they are sent', async () => {
    const world = await worldWith('application/octet-stream', 'x'.repeat(1000), {
      limits: { chunkBytes: 100 },
    })
    const before = world.storage.readRanges.length
    const result = await world.done(world.read('a', 850))
    expect(result).toMatchObject({ slice: { from: 850, to: 900 } })
    expect(world.storage.readRanges.slice(before)).toMatchObject([{ from: 850, to: 900 }])
  })
})

describe('text', () => {
  it('R-209: is never cut inside a character, wherever the characters fall', async () => {
    for (let shift = 0; shift < 8; shift++) {
      const body = `${'.'.repeat(shift)}${'aé€😀'.repeat(12)}`
      const world = await worldWith('text/plain', body, { limits: { chunkBytes: 16 } })
      const slices = await walk(world)
      expect(texts(slices).join('')).toBe(body)
      expect(texts(slices).filter((text) => text.includes('\ufffd'))).toEqual([])
      expect(slices.length).toBeGreaterThan(3)
    }
  })

  it('is never cut between CR and LF', async () => {
    for (let shift = 0; shift < 3; shift++) {
      const body = `${'.'.repeat(shift)}${'\r\n'.repeat(30)}`
      const world = await worldWith('text/plain', body, { limits: { chunkBytes: 16 } })
      const parts = texts(await walk(world))
      expect(parts.join('')).toBe(body)
      expect(parts.filter((part) => part.startsWith('\n') || part.endsWith('\r'))).toEqual([])
    }
  })

  it('gets through bytes that are no text', async () => {
    const bytes = new Uint8Array(100).fill(0x80).fill(0xf0, 50)
    const world = await worldWith('text/plain', '', { limits: { chunkBytes: 16 } })
    const command = world.writing('a', 'x')
    await world.done(world.engine.append({ ...command, payload: { kind: 'bytes', bytes, messages: 1 } }))
    const slices = await walk(world)
    expect([...joined(slices.flatMap(({ pieces }) => pieces))]).toEqual([...bytes])
  })
})

describe('JSON', () => {
  const messages = (count: number): string =>
    JSON.stringify(Array.from({ length: count }, (_, at) => `m${at}`))

  it('ends at message boundaries, whatever the grid', async () => {
    for (const chunkBytes of [7, 8, 10, 13, 64, 1000]) {
      const world = await worldWith(JSON_TYPE, messages(40), { limits: { chunkBytes } })
      const parts = texts(await walk(world))
      expect(parts.filter((part) => !part.endsWith(',\n'))).toEqual([])
      expect(parts.join('').split(',\n').length).toBe(41)
    }
  })

  it('a message larger than a chunk comes alone and whole', async () => {
    for (const size of [50, 500, 5000]) {
      const large = JSON.stringify('x'.repeat(size))
      const world = await worldWith(JSON_TYPE, `[1,${large},2,3]`, { limits: { chunkBytes: 40 } })
      const parts = texts(await walk(world))
      expect(parts).toContain(`${large},\n`)
      expect(parts.join('')).toBe(`1,\n${large},\n2,\n3,\n`)
    }
  })

  it('costs few reads, also when a large message begins just before the grid', async () => {
    for (let before = 25; before < 40; before++) {
      const world = await worldWith(JSON_TYPE, `["${'a'.repeat(before)}"]`, { limits: { chunkBytes: 64 } })
      const large = JSON.stringify('x'.repeat(20_000))
      await world.done(world.append('a', `[${JSON.stringify('b'.repeat(20))},${large}]`))
      const reads = world.storage.readRanges.length
      const parts = texts(await walk(world))
      expect(parts.at(-1)).toBe(`${large},\n`)
      expect(world.storage.readRanges.length - reads).toBeLessThan(7)
    }
  })

  it('an offset inside a message is refused, every one of them', async () => {
    const world = await worldWith(JSON_TYPE, '["ab",{"c":[1,2]},3]')
    const stored = await world.text('a')
    const accepted: number[] = []
    for (let from = 0; from <= stored.length; from++) {
      const result = await world.done(world.read('a', from))
      if (result.kind === 'slice') accepted.push(from)
      else expect(result.rejection.kind).toBe('invalid-offset')
    }
    const boundaries = [...stored].flatMap((character, at) => (character === '\n' ? [at + 1] : []))
    expect(accepted).toEqual([0, ...boundaries])
  })
})

/** A chain of forks, each leaving its predecessor at a place of its own, and the text that each must hold. */
interface Chain {
  readonly world: World
  readonly expected: ReadonlyMap<string, string>
}

async function chainOf(
  type: string,
  links: readonly { at: number; own: string }[],
  options: WorldOptions,
): Promise<Chain> {
  const world = new World(options)
  const expected = new Map<string, string>()
  let previous: string | undefined
  for (const [index, { at, own }] of links.entries()) {
    const name = `s${index}`
    const inherited = (expected.get(previous ?? '') ?? '').slice(0, at)
    const fork = previous === undefined ? {} : { fork: { from: previous, at: inherited.length } }
    await world.done(world.create(name, { type, ...fork }))
    for (const part of own) await world.done(world.append(name, part))
    expected.set(name, inherited + own)
    previous = name
  }
  // What is appended to the sources later belongs to them alone.
  for (const name of expected.keys()) {
    await world.done(world.append(name, '#'))
    expected.set(name, `${expected.get(name)}#`)
  }
  return { world, expected }
}

describe('forks', () => {
  it('R-246: R-274: hold exactly what was there where they left, at every position', async () => {
    const world = await worldWith('text/plain', 'abc')
    await world.done(world.append('a', 'def'))
    for (let at = 0; at <= 6; at++) {
      await world.done(world.create(`f${at}`, { fork: { from: 'a', at } }))
      await world.done(world.append(`f${at}`, 'XYZ'))
    }
    await world.done(world.append('a', 'later'))
    for (let at = 0; at <= 6; at++) {
      const whole = `${'abcdef'.slice(0, at)}XYZ`
      for (let from = 0; from <= whole.length; from++) {
        const parts = texts(await walk(world, `f${at}`, from))
        expect(parts.join('')).toBe(whole.slice(from))
      }
    }
  })

  it('R-273: R-279: read across all borders from any position, whatever the grid', async () => {
    const link = fc.record({ at: fc.nat(40), own: fc.stringMatching(/^[a-z]{0,12}$/) })
    await fc.assert(
      fc.asyncProperty(
        fc.array(link, { minLength: 1, maxLength: 5 }),
        fc.integer({ min: 5, max: 40 }),
        async (links, chunkBytes) => {
          const { world, expected } = await chainOf('application/octet-stream', links, {
            limits: { chunkBytes },
          })
          for (const [name, whole] of expected) {
            for (const from of [0, 1, Math.floor(whole.length / 2), whole.length]) {
              const parts = texts(await walk(world, name, Math.min(from, whole.length)))
              expect(parts.join('')).toBe(whole.slice(from))
            }
          }
        },
      ),
      { seed: 23, numRuns: 60 },
    )
  })

  it('R-296: JSON messages of source and fork come in one read', async () => {
    const world = await worldWith(JSON_TYPE, '[1,2]')
    const source = await stateOf(world)
    await world.done(world.create('fork', { fork: { from: 'a', at: 3 }, body: '["own"]' }))
    expect(source.tail).toBe(6)
    expect(texts(await walk(world, 'fork'))).toEqual(['1,\n"own",\n'])
    expect(texts(await walk(world, 'fork', 3))).toEqual(['"own",\n'])
  })

  it('a JSON offset at the border is one, whoever owns the byte before it', async () => {
    const world = await worldWith(JSON_TYPE, '[1,2]')
    await world.done(world.create('fork', { fork: { from: 'a', at: 6 }, body: '[3]' }))
    expect(await world.done(world.read('fork', 6))).toMatchObject({ slice: { from: 6, to: 9 } })
    expect(await world.done(world.read('fork', 7))).toMatchObject({ rejection: { kind: 'invalid-offset' } })
  })
})

describe('readSlice and readRange', () => {
  it('answer in the same turn on a store that does', async () => {
    const world = await worldWith('text/plain', 'abcdef', { synchronous: true })
    const state = await stateOf(world)
    const range = readRange(world.storage, state, 1, 4)
    const result = readSlice(world.storage, state, 2, 6)
    expect([range instanceof Promise, result instanceof Promise]).toEqual([false, false])
    expect(joined(await range)).toEqual(new TextEncoder().encode('bcd'))
    expect(await result).toMatchObject({ kind: 'slice', slice: { from: 2, to: 6, state } })
  })

  it('read each owner once', async () => {
    const world = await worldWith('text/plain', 'abcdef')
    await world.done(world.create('fork', { fork: { from: 'a', at: 4 }, body: 'own' }))
    const state = await stateOf(world, 'fork')
    const before = world.storage.readRanges.length
    expect(new TextDecoder().decode(joined(await readRange(world.storage, state, 2, 6)))).toBe('cdow')
    expect(world.storage.readRanges.slice(before)).toEqual(ownRanges(state, 2, 6))
  })
})
