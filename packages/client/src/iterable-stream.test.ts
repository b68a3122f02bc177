import { expect, it } from 'vitest'
import { asAsyncIterableReadableStream } from './iterable-stream.ts'

interface Source {
  readonly stream: ReadableStream<number>
  readonly cancelledWith: unknown[]
}

/** As on a platform whose streams can not be iterated. */
function bareStream(numbers: readonly number[], error?: Error): Source {
  const cancelledWith: unknown[] = []
  let next = 0
  const stream = new ReadableStream<number>(
    {
      pull(controller) {
        const value = numbers[next++]
        if (value !== undefined) controller.enqueue(value)
        else if (error === undefined) controller.close()
        else controller.error(error)
      },
      cancel: (reason) => void cancelledWith.push(reason),
    },
    { highWaterMark: 0 },
  )
  Object.defineProperty(stream, Symbol.asyncIterator, { value: undefined, configurable: true })
  return { stream, cancelledWith }
}

it('leaves native streams alone (C-073)', () => {
  const stream = new ReadableStream<number>()

  expect(asAsyncIterableReadableStream(stream)).toBe(stream)
  expect(Object.getOwnPropertySymbols(stream)).not.toContain(Symbol.asyncIterator)
})

it('gives an iterator to the instance only (C-073)', async () => {
  const before = Reflect.ownKeys(ReadableStream.prototype)
  const { stream } = bareStream([1, 2, 3])
  const iterable = asAsyncIterableReadableStream(stream)
  const read: number[] = []
  for await (const value of iterable) read.push(value)

  expect(iterable).toBe(stream)
  expect(iterable).toBeInstanceOf(ReadableStream)
  expect(read).toEqual([1, 2, 3])
  expect(stream.locked).toBe(false)
  expect(Reflect.ownKeys(ReadableStream.prototype)).toEqual(before)
})

it('leaving early cancels and lets the lock go (C-073)', async () => {
  const { stream, cancelledWith } = bareStream([1, 2, 3])
  for await (const value of asAsyncIterableReadableStream(stream)) if (value === 2) break

  expect(cancelledWith).toEqual([undefined])
  expect(stream.locked).toBe(false)
})

it('return passes its value to cancel, and nothing follows (C-073)', async () => {
  const { stream, cancelledWith } = bareStream([1, 2])
  const iterator = asAsyncIterableReadableStream(stream)[Symbol.asyncIterator]()

  expect(await iterator.return?.('why' as never)).toEqual({ done: true, value: undefined })
  expect(await iterator.return?.('again' as never)).toEqual({ done: true, value: undefined })
  expect(await iterator.next()).toEqual({ done: true, value: undefined })
  expect(cancelledWith).toEqual(['why'])
})

it('a read error is thrown on and lets the lock go, also with several reads under way (C-073)', async () => {
  const { stream } = bareStream([], new Error('broken'))
  const iterator = asAsyncIterableReadableStream(stream)[Symbol.asyncIterator]()
  const reads = await Promise.allSettled([iterator.next(), iterator.next()])

  expect(reads.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  expect(stream.locked).toBe(false)
})

it('return and throw with reads under way are refused (C-073)', async () => {
  const { stream } = bareStream([1])
  const iterator = asAsyncIterableReadableStream(stream)[Symbol.asyncIterator]()
  const pending = iterator.next()

  const refused = await Promise.allSettled([iterator.return?.(), iterator.throw?.(new Error('x'))])

  expect(refused.map((result) => result.status === 'rejected' && result.reason.name)).toEqual([
    'TypeError',
    'TypeError',
  ])
  expect(await pending).toEqual({ done: false, value: 1 })
  await expect(iterator.throw?.(new Error('x'))).rejects.toThrow('x')
  expect(stream.locked).toBe(false)
})
