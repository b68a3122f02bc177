import { memoryStorage, type StreamStorage } from '@millrace/engine'
import { expect, it } from 'vitest'
import { createHandler } from './create-handler.ts'
import { type HandlerOptions, resolveOptions } from './options.ts'

const storage = memoryStorage()

it.each<[string, Omit<HandlerOptions, 'storage'>]>([
  ['a public URL that is none', { publicUrl: 'not a url' }],
  ['a public URL with a path', { publicUrl: 'https://streams.example.com/api' }],
  ['an origin without a scheme', { allowedOrigins: ['example.com'] }],
  ['an origin with a path', { allowedOrigins: ['https://example.com/app'] }],
  ['a host with a scheme', { allowedHosts: ['https://example.com'] }],
  ['a stream base path with a dot segment left open', { streamBasePath: 'v1/stream' }],
  ['a long-poll that cannot wait', { longPollTimeoutMs: 0 }],
  ['a rate below one', { maxRequestsPerSecond: 0.5 }],
])('refuses %s', (_, options) => {
  expect(() => resolveOptions({ storage, ...options })).toThrow(RangeError)
})

it('takes what can work, and leaves off the slash of a public URL', () => {
  const options = { publicUrl: 'https://streams.example.com/', allowedOrigins: ['https://app.example.com'] }
  const settings = resolveOptions({ storage, ...options, allowedHosts: ['[::1]', 'streams.example.com'] })
  expect(settings.publicUrl).toBe('https://streams.example.com')
  expect(settings.allowedOrigins).toEqual(['https://app.example.com'])
})

it('closes a store that opens after the handler was closed', async () => {
  let closed = 0
  const late: StreamStorage = Object.assign(memoryStorage(), {
    close: () => {
      closed++
      return Promise.resolve()
    },
  })
  let open: (storage: StreamStorage) => void = () => undefined
  const handler = createHandler({ storage: new Promise<StreamStorage>((resolve) => (open = resolve)) })
  await handler.close()
  open(late)
  await handler.ready
  expect(closed).toBe(1)
})
