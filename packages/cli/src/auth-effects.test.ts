/** Every key of authentication and proxies, from a file and from its variable, and what it changes. */
import { afterAll, beforeAll, vi } from 'vitest'
import { AUTH_ROWS, startKeyServer } from './auth-effects.fixture.ts'
import { makeFolder } from './config-effects.fixture.ts'
import { describeRows } from './config-rows.fixture.ts'

vi.setConfig({ testTimeout: 25_000, hookTimeout: 30_000 })

const { folder, remove } = makeFolder()
let stopKeyServer: () => void = () => undefined

beforeAll(async () => {
  stopKeyServer = await startKeyServer()
})

afterAll(() => {
  stopKeyServer()
  remove()
})

describeRows(folder, AUTH_ROWS)
