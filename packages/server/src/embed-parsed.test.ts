/**
 * A body parser in front of the handler is a mistake that is easily made: the bytes of an append are gone. It has
 * to show in the answer and in the log of the server, not as a client that seems to have gone away.
 */
import { createServer } from 'node:http'
import { memoryStorage } from '@millrace/engine'
import express from 'express'
import { expect, test } from 'vitest'
import { createHandler } from './create-handler.ts'
import { requestsTo } from './test-server.fixture.ts'

const PATH = '/v1/stream/parsed'
const JSON_TYPE = { 'content-type': 'application/json' }

test('over node, a body that a parser has read is a failure of the server', async () => {
  const errors: unknown[] = []
  const handler = createHandler({ storage: memoryStorage(), onError: (error) => errors.push(error) })
  const app = express()
  app.use(express.json())
  app.use('/v1/stream', handler.node)
  const server = createServer(app)
  const port = await new Promise<number>((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      resolve(typeof address === 'object' && address !== null ? address.port : 0)
    })
  })
  const send = requestsTo(port)
  const created = await send('PUT', PATH, { headers: JSON_TYPE })
  const appended = await send('POST', PATH, { headers: JSON_TYPE, body: '{"a":1}' })
  const read = await send('GET', PATH)
  await new Promise((resolve) => server.close(resolve))
  await handler.close()

  expect([created.status, read.text]).toEqual([201, '[]'])
  expect(appended.status).toBe(500)
  expect(appended.json()).toMatchObject({ code: 'INTERNAL_ERROR' })
  expect(errors.length).toBe(1)
})

test('over fetch, a body that something else has read is a failure of the server', async () => {
  const errors: unknown[] = []
  const handler = createHandler({ storage: memoryStorage(), onError: (error) => errors.push(error) })
  const url = `http://localhost${PATH}`
  await handler.fetch(new Request(url, { method: 'PUT', headers: JSON_TYPE }))
  const request = new Request(url, { method: 'POST', headers: JSON_TYPE, body: '{"a":1}' })
  await request.json()
  const appended = await handler.fetch(request)
  const read = await handler.fetch(new Request(url))
  await handler.close()

  expect(await read.text()).toBe('[]')
  expect(appended.status).toBe(500)
  expect(errors.length).toBe(1)
})
