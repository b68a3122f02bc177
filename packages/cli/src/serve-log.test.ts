/** What a running server prints at each level, and what it does about SIGHUP, as a process. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { generate } from 'selfsigned'
import { afterEach, describe, expect, test, vi } from 'vitest'
import {
  type Environment,
  type RunningMillrace,
  runMillrace,
  startMillrace,
} from './millrace-process.fixture.ts'

// A busy machine is slow, not wrong.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 })

const running: RunningMillrace[] = []
const folders: string[] = []

afterEach(async () => {
  await Promise.all(running.splice(0).map((millrace) => millrace.stop('SIGKILL')))
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

async function start(args: readonly string[], environment: Environment = {}): Promise<RunningMillrace> {
  const millrace = await startMillrace(['serve', '--storage', 'memory', ...args], environment)
  running.push(millrace)
  return millrace
}

/** Resolves when the process has printed something. */
async function until(server: RunningMillrace, pattern: RegExp): Promise<string> {
  const gone = { over: false }
  server.ended.then(() => {
    gone.over = true
  })
  for (;;) {
    const { stdout, stderr } = server.output()
    const found = pattern.exec(stdout + stderr)?.[0]
    if (found !== undefined) return found
    if (gone.over) throw new Error(`${pattern} was not printed: ${stdout}${stderr}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

describe('a log level', () => {
  test('of debug prints every request, without its query', async () => {
    const server = await start(['--port', '0'], { RUST_LOG: 'debug' })
    await fetch(`${server.url}/v1/stream/a?offset=-1&token=secret`)
    const line = await until(server, /^.* GET .*$/m)

    expect(line).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z GET \/v1\/stream\/a 404 [\d.]+ms$/)
  })

  test('of info, the usual one, prints none', async () => {
    const server = await start(['--port', '0'])
    await fetch(`${server.url}/v1/stream/a`)
    const { stdout, stderr } = await server.stop()

    expect(stdout).toMatch(/^Millrace is listening/)
    expect(stderr).toBe('')
  })

  test('that is none is refused', async () => {
    const { code, stderr } = await runMillrace(['serve', '--port', '0', '--log-level', 'loud'])

    expect([code, stderr]).toEqual([
      1,
      '--log-level: it must be off, error, warn, info, debug or trace, not "loud".\n',
    ])
  })
})

describe('SIGHUP', () => {
  interface Files {
    readonly flags: readonly string[]
    readonly certPath: string
    renew(): Promise<void>
  }

  async function certificate(): Promise<Files> {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-hup-'))
    folders.push(folder)
    const certPath = join(folder, 'server.pem')
    const keyPath = join(folder, 'server.key')
    const renew = async (): Promise<void> => {
      const made = await generate([{ name: 'commonName', value: 'localhost' }], { keyType: 'ec' })
      writeFileSync(certPath, made.cert)
      writeFileSync(keyPath, made.private)
    }
    await renew()
    return { flags: ['--port', '0', '--tls-cert', certPath, '--tls-key', keyPath], certPath, renew }
  }

  function serialOf(server: RunningMillrace): Promise<string> {
    return new Promise((resolve, reject) => {
      const url = `${server.url}/healthz`
      const asking = request(url, { agent: false, rejectUnauthorized: false }, (response) => {
        const { serialNumber } = (response.socket as TLSSocket).getPeerCertificate()
        response.resume().on('end', () => resolve(serialNumber))
      })
      asking.on('error', reject).end()
    })
  }

  test('gives new connections the new certificate, and keeps the old one if the new one is broken', async () => {
    const files = await certificate()
    const server = await start(files.flags)
    const first = await serialOf(server)
    await files.renew()
    server.signal('SIGHUP')
    await until(server, /SIGHUP: new connections get the certificate in .* as it is now\./)
    const second = await serialOf(server)
    writeFileSync(files.certPath, 'broken')
    server.signal('SIGHUP')
    const refusal = await until(server, /SIGHUP: the certificate stays as it was\..*/)
    const third = await serialOf(server)

    expect(server.url).toMatch(/^https:/)
    expect(second).not.toBe(first)
    expect(third).toBe(second)
    expect(refusal).toMatch(/server\.pem holds no certificate in PEM form\.$/)
    expect((await server.stop()).code).toBe(0)
  })

  test('without TLS says that there is nothing to read again, and ends nothing', async () => {
    const server = await start(['--port', '0'])
    server.signal('SIGHUP')
    await until(server, /SIGHUP: there is nothing to read again, because this server has no certificate\./)

    expect((await fetch(`${server.url}/readyz`)).status).toBe(200)
    expect((await server.stop()).code).toBe(0)
  })
})
