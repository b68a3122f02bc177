import { expect, test } from 'vitest'
import { type ServerCommand, startServer } from './server-process.ts'

const announce = 'console.log("listening on http://127.0.0.1:4321/v1/stream");'
const stayAlive = 'setInterval(() => {}, 1000);'

function script(code: string, times: Partial<ServerCommand> = {}): ServerCommand {
  return { command: process.execPath, args: ['-e', code], cwd: process.cwd(), ...times }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    // No such process: that is the answer.
    return false
  }
}

test('reports the origin that the server printed and stops the process', async () => {
  const server = await startServer(script(announce + stayAlive))

  expect(server.url).toBe('http://127.0.0.1:4321')
  expect(isAlive(server.pid)).toBe(true)
  expect(await server.stop()).toBe('ended')
  expect(isAlive(server.pid)).toBe(false)
})

test('waits for the whole line, so that the port is never cut short', async () => {
  const pieces = `process.stdout.write("http://127.0.0.1:43"); setTimeout(() => console.log("21"), 100);`
  const server = await startServer(script(pieces + stayAlive))

  expect(server.url).toBe('http://127.0.0.1:4321')
  await server.stop()
})

test('a server that ends too early fails with its code and its output', async () => {
  await expect(startServer(script('console.error("port is taken"); process.exit(3)'))).rejects.toThrow(
    /ended with code 3.*port is taken/s,
  )
})

test('a server that prints no URL in time fails with its output', async () => {
  const silent = script(`console.log("warming up");${stayAlive}`, { startTimeoutMs: 1_000 })

  await expect(startServer(silent)).rejects.toThrow(/printed no URL within 1000 ms.*warming up/s)
})

test('a program that does not exist fails with its name', async () => {
  const missing = { ...script(''), command: '/nowhere/server' }

  await expect(startServer(missing)).rejects.toThrow(/\/nowhere\/server.*could not be started/)
})

test('a server that ignores SIGTERM is killed', async () => {
  const stubborn = `process.on("SIGTERM", () => {});${announce}${stayAlive}`
  const server = await startServer(script(stubborn, { stopTimeoutMs: 200 }))

  expect(await server.stop()).toBe('killed')
  expect(isAlive(server.pid)).toBe(false)
})

test('a server that ended by itself makes stop fail', async () => {
  const server = await startServer(script(`${announce} setTimeout(() => process.exit(9), 100)`))
  await expect.poll(() => isAlive(server.pid)).toBe(false)

  await expect(server.stop()).rejects.toThrow(/ended with code 9 before it was stopped/)
})

test('a killed server is gone, without a chance to clean up', async () => {
  const server = await startServer(script(`process.on("SIGTERM", () => {});${announce}${stayAlive}`))

  await server.kill()
  expect(isAlive(server.pid)).toBe(false)
})
