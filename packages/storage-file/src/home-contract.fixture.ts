/** What every home does: the cases that the one in LMDB and the one in memory share. */
import { describe, expect, it } from 'vitest'
import { type Home, type HomeChange, HomeCorrupt } from './home.ts'
import { HOME_KEY_BYTES } from './home-value.ts'

/** How the cases get at a home. */
export interface HomeHarness {
  /** An empty home. */
  open(): Promise<Home>
  /** Closes a home and opens it again. */
  reopen(home: Home): Promise<Home>
  /** Closes a home, flips a bit of the stored form of the only entry that has this value, and opens it again. */
  damage(home: Home, key: string, value: Uint8Array): Promise<Home>
}

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1')
const text = (value: Uint8Array | undefined): string | undefined =>
  value && Buffer.from(value).toString('latin1')
const puts = (...keys: readonly string[]): readonly HomeChange[] => keys.map((key) => [key, bytes(key)])
const keysIn = (home: Home, from: string, to: string, limit = 1000): readonly string[] =>
  home.range(from, to, limit).map(([key]) => key)

/** Registers the cases. */
export function describeHome({ open, reopen, damage }: HomeHarness): void {
  describe('a commit', () => {
    it('is found afterwards, and by the next process', async () => {
      const home = await open()
      expect(home.get('a')).toBe(undefined)
      await home.commit([
        ['a', bytes('one')],
        ['b', bytes('two')],
      ])
      await home.commit([
        ['a', bytes('three')],
        ['b', undefined],
        ['none', undefined],
      ])
      expect([text(home.get('a')), text(home.get('b')), text(home.get('none'))]).toEqual([
        'three',
        undefined,
        undefined,
      ])
      const next = await reopen(home)
      expect([text(next.get('a')), text(next.get('b'))]).toEqual(['three', undefined])
      await next.close()
    })

    it('applies its changes in order', async () => {
      const home = await open()
      await home.commit([
        ['a', bytes('1')],
        ['a', undefined],
        ['a', bytes('2')],
        ['b', bytes('3')],
        ['b', undefined],
      ])
      expect([text(home.get('a')), text(home.get('b'))]).toEqual(['2', undefined])
      await home.close()
    })

    it('takes effect in the order of the calls, also when nobody waits', async () => {
      const home = await open()
      const commits = Array.from({ length: 50 }, (_, turn) => home.commit([['a', bytes(`${turn}`)]]))
      await home.commit([])
      await Promise.all(commits)
      expect(text(home.get('a'))).toBe('49')
      await home.close()
    })

    it('is seen whole or not at all while it is written', async () => {
      const home = await open()
      const turns = 20
      const changes = (turn: number): readonly HomeChange[] =>
        Array.from({ length: 500 }, (_, index) => [`k/${index}`, bytes(`${turn}`)])
      let isDone = false
      const writing = (async () => {
        for (let turn = 0; turn < turns; turn++) await home.commit(changes(turn))
        isDone = true
      })()
      const seen = new Set<string>()
      while (!isDone) {
        seen.add([...new Set(home.range('k/', 'k/~', 1000).map(([, value]) => text(value)))].join())
        await new Promise((resolve) => setImmediate(resolve))
      }
      await writing
      expect([...seen].filter((values) => values.includes(','))).toEqual([])
      await home.close()
    })

    it('copies its values before it returns', async () => {
      const home = await open()
      const value = bytes('before')
      const committed = home.commit([['a', value]])
      value.fill('x')
      await committed
      expect(text(home.get('a'))).toBe('before')
      await home.close()
    })

    it('takes values of any length', async () => {
      const home = await open()
      const sizes = [0, 1, 3, 4, 5, 100, 2000, 4092, 4096, 32_763, 32_768, 70_000, 3_000_000]
      const value = (size: number): Buffer => Buffer.alloc(size, `${size}-`)
      await home.commit(sizes.map((size) => [`s/${String(size).padStart(9, '0')}`, value(size)]))
      const next = await reopen(home)
      const read = next.range('s/', 's/~', 100).map(([, found]) => found)
      // Read again in between: what was read earlier has to stay what it was.
      const alone = sizes.map((size) => next.get(`s/${String(size).padStart(9, '0')}`))
      expect(read.map((found, index) => value(sizes[index] ?? -1).equals(found))).toEqual(
        sizes.map(() => true),
      )
      expect(alone.map((found, index) => found && value(sizes[index] ?? -1).equals(found))).toEqual(
        sizes.map(() => true),
      )
      await next.close()
    })

    it('refuses keys that are none, and then changes nothing', async () => {
      const home = await open()
      for (const key of ['', 'ä', '\u{1f600}', 'x'.repeat(HOME_KEY_BYTES + 1)]) {
        await expect(home.commit([...puts('a'), [key, bytes('v')]])).rejects.toThrow(RangeError)
        expect(() => home.get(key)).toThrow(RangeError)
      }
      expect(home.get('a')).toBe(undefined)
      await home.close()
    })
  })

  describe('reading', () => {
    it('gives copies that later reads and writes leave alone', async () => {
      const home = await open()
      await home.commit([...puts('a', 'b'), ['large', Buffer.alloc(100_000, 1)]])
      const a = home.get('a')
      const large = home.get('large')
      const range = home.range('a', 'z', 10)
      home.get('b')
      await home.commit([['a', bytes('changed')], ['large', undefined], ...puts('c')])
      home.range('a', 'z', 10)
      expect(text(a)).toBe('a')
      expect(large && Buffer.alloc(100_000, 1).equals(large)).toBe(true)
      expect(range.map(([key, value]) => `${key}=${text(value)?.slice(0, 1)}`)).toEqual([
        'a=a',
        'b=b',
        'large=\x01',
      ])
      a?.fill(0)
      expect(text(home.get('a'))).toBe('changed')
      await home.close()
    })

    it('sees a commit as soon as it has resolved, even in the turn of an earlier read', async () => {
      const home = await open()
      for (let turn = 0; turn < 20; turn++) {
        home.get('a')
        await home.commit([['a', bytes(`${turn}`)]])
        expect(text(home.get('a'))).toBe(`${turn}`)
        expect(home.range('a', 'b', 1).map(([, value]) => text(value))).toEqual([`${turn}`])
      }
      await home.close()
    })

    it('orders keys by their bytes', async () => {
      const home = await open()
      const keys = [
        '\x01',
        ' ',
        'A',
        'Z',
        'a',
        'a\0',
        'a\0b',
        'a\x1f',
        'a/',
        'a/b',
        'a0',
        'aa',
        'b',
        '~',
        '\x7f',
      ]
      await home.commit(puts(...[...keys].reverse()))
      expect(keysIn(home, '\x01', '\x7f')).toEqual(keys.slice(0, -1))
      await home.close()
    })

    it('takes a range from its start up to before its end, and no more than its limit', async () => {
      const home = await open()
      await home.commit(puts('a', 'b', 'b/1', 'b/2', 'b/3', 'c'))
      expect(keysIn(home, 'b/', 'b/~')).toEqual(['b/1', 'b/2', 'b/3'])
      expect(keysIn(home, 'b', 'c')).toEqual(['b', 'b/1', 'b/2', 'b/3'])
      expect(keysIn(home, 'b', 'b')).toEqual([])
      expect(keysIn(home, 'c', 'b')).toEqual([])
      expect(keysIn(home, 'd', 'e')).toEqual([])
      expect(keysIn(home, 'a', 'z', 2)).toEqual(['a', 'b'])
      expect(keysIn(home, 'a', 'z', 0)).toEqual([])
      expect(keysIn(home, 'a', 'z', Number.POSITIVE_INFINITY).length).toBe(6)
      await home.close()
    })

    it('takes the longest keys', async () => {
      const home = await open()
      const long = Array.from({ length: 50 }, (_, index) => `${'k'.repeat(HOME_KEY_BYTES - 2)}${index + 10}`)
      await home.commit(puts(...long))
      const next = await reopen(home)
      expect(text(next.get(long[7] ?? ''))).toBe(long[7])
      expect(keysIn(next, long[0] ?? '', long[49] ?? '')).toEqual(long.slice(0, 49))
      await next.close()
    })
  })

  describe('damage', () => {
    it('to a value is an error, and the others are still read', async () => {
      const home = await open()
      const value = bytes('a value that stands nowhere else')
      await home.commit([...puts('a', 'c'), ['b', value]])
      const next = await damage(home, 'b', value)
      expect(() => next.get('b')).toThrow(HomeCorrupt)
      expect(() => next.get('b')).toThrow('"b"')
      expect(() => next.range('a', 'z', 10)).toThrow(HomeCorrupt)
      expect(text(next.get('a'))).toBe('a')
      expect(keysIn(next, 'c', 'z')).toEqual(['c'])
      await next.commit([['b', bytes('mended')]])
      expect(text(next.get('b'))).toBe('mended')
      await next.close()
    })
  })

  describe('closing', () => {
    it('waits for commits under way; then every call is refused', async () => {
      const home = await open()
      const order: string[] = []
      const committed = home.commit(puts('a')).then(() => order.push('committed'))
      await home.close().then(() => order.push('closed'))
      await home.close()
      await committed
      expect(order).toEqual(['committed', 'closed'])
      expect(() => home.get('a')).toThrow('closed')
      expect(() => home.range('a', 'b', 1)).toThrow('closed')
      await expect(home.commit(puts('b'))).rejects.toThrow('closed')
    })
  })
}
