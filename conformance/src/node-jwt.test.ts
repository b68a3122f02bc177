import { SignJWT } from 'jose'
import { afterAll, beforeAll, expect } from 'vitest'
import { nodeServer } from './server-commands.ts'
import { runSuite } from './suite-run.ts'

const secret = 'this secret is known to these tests only'
const { fetch: bareFetch } = globalThis

/** The suite knows nothing of tokens: each of its requests gets one on its way. */
beforeAll(async () => {
  const token = await new SignJWT({ sub: 'suite', scope: 'create,append,read,close,delete:**' })
    .setProtectedHeader({ alg: 'HS256' })
    .setExpirationTime('1h')
    .sign(new TextEncoder().encode(secret))
  let sent = 0
  globalThis.fetch = async (input, init) => {
    const request = new Request(input, init)
    // Once without: the server must be one that asks for it.
    if (sent === 0) expect((await bareFetch(request.url)).status).toBe(401)
    sent += 1
    const headers = new Headers(init?.headers)
    headers.set('authorization', `Bearer ${token}`)
    return bareFetch(input, { ...init, headers })
  }
})

afterAll(() => {
  globalThis.fetch = bareFetch
})

runSuite({
  ...nodeServer('memory'),
  environment: { DS_AUTH__MODE: 'jwt', DS_AUTH__JWT__SECRET: secret },
})
