import { afterEach, expect, it } from 'vitest'
import { startTestServer, type TestServer } from './test-server.fixture.ts'

let server: TestServer

afterEach(() => server.close())

it('R-020: answers a client that asks too often with 429 and Retry-After, and changes nothing', async () => {
  server = await startTestServer({ maxRequestsPerSecond: 3 })
  const replies = []
  for (let i = 0; i < 8; i++) replies.push(await server.request('PUT', `/v1/stream/rate/${i}`))
  const refused = replies.filter(({ status }) => status === 429)
  expect(refused.length).toBeGreaterThan(0)
  expect(refused.map(({ headers }) => headers.get('retry-after'))).toEqual(refused.map(() => '1'))
  expect(refused.map((reply) => reply.json())).toEqual(
    refused.map(() => expect.objectContaining({ code: 'RATE_LIMITED', status: 429 })),
  )
  const health = await server.request('GET', '/healthz')
  expect(health.status).toBe(200)
})
