/** Who a server takes the client for: limits, proxies and trusted headers go by the address of the connection. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { request as secureRequest } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { makeCertificate } from './config-effects.fixture.ts'
import {
  ON_BUN,
  ON_NODE,
  type Program,
  type RunningMillrace,
  startMillrace,
} from './millrace-process.fixture.ts'

// A busy machine is slow, not wrong.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

let folder: string
let server: RunningMillrace | undefined

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-address-'))
})

afterEach(async () => {
  await server?.stop('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
})

async function start(program: Program, config: string): Promise<RunningMillrace> {
  const file = join(folder, 'millrace.toml')
  writeFileSync(file, config)
  server = await startMillrace(['dev', '--port', '0', '--config', file], {}, program)
  return server
}

/** The status of a read that comes from one of the addresses of this machine. */
function readFrom(address: string, headers: Readonly<Record<string, string>> = {}): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request(`${server?.url}/v1/stream/a`, { localAddress: address, headers }, (answer) => {
      answer.resume()
      answer.on('end', () => resolve(answer.statusCode ?? 0))
    })
    sent.on('error', reject)
    sent.end()
  })
}

/** The status that a user gets whom a header names, or `refused` where there is no connection without another certificate. */
function readAs(
  user: string,
  certificate?: { readonly cert: Buffer; readonly key: Buffer },
): Promise<number | 'refused'> {
  const options = { agent: false, headers: { 'x-user': user }, rejectUnauthorized: false, ...certificate }
  return new Promise((resolve) => {
    const sent = secureRequest(`${server?.url}/v1/stream/a`, options, (answer) => {
      answer.resume()
      answer.on('end', () => resolve(answer.statusCode ?? 0))
    })
    sent.on('error', () => resolve('refused'))
    sent.end()
  })
}

async function certificateIn(
  name: string,
): Promise<{ certPath: string; keyPath: string; cert: Buffer; key: Buffer }> {
  mkdirSync(join(folder, name))
  const { certPath, keyPath } = await makeCertificate(join(folder, name))
  return { certPath, keyPath, cert: readFileSync(certPath), key: readFileSync(keyPath) }
}

/** Ann may read everything, and nobody else anything. */
function writeRules(): string {
  const file = join(folder, 'rules.json')
  const rules = [{ who: 'subject:ann', paths: ['**'], operations: ['read'] }]
  writeFileSync(file, JSON.stringify({ rules }))
  return file
}

/** Reads until there were too many from this address. */
async function exhaust(address: string, headers: Readonly<Record<string, string>> = {}): Promise<void> {
  for (let sent = 0; sent < 1000; sent++) if ((await readFrom(address, headers)) === 429) return
  expect.unreachable('no limit was met')
}

describe.each<[string, Program]>([
  ['Node', ON_NODE],
  ['Bun', ON_BUN],
])('on %s', (_, program) => {
  test('one address that asks too often does not keep out another', async () => {
    await start(program, '[limits]\nmax_requests_per_second = 2\n')
    await exhaust('127.0.0.1')

    expect(await readFrom('127.0.0.2')).toBe(404)
  })

  test('behind a trusted proxy the client is who the proxy says, from elsewhere who sends it', async () => {
    await start(
      program,
      '[limits]\nmax_requests_per_second = 2\n[proxy]\nenabled = true\ntrusted_proxies = ["127.0.0.2"]\nforwarded_headers = "x-forwarded"\n',
    )
    await exhaust('127.0.0.2', { 'x-forwarded-for': '10.0.0.1' })
    expect(await readFrom('127.0.0.2', { 'x-forwarded-for': '10.0.0.2' })).toBe(404)

    await exhaust('127.0.0.3', { 'x-forwarded-for': '10.0.0.3' })
    expect(await readFrom('127.0.0.2', { 'x-forwarded-for': '10.0.0.3' })).toBe(404)
  })

  test('the header of a trusted proxy names the user, and that of anybody else does not', async () => {
    const rules = writeRules()
    await start(
      program,
      `[proxy]\nenabled = true\ntrusted_proxies = ["127.0.0.2"]\n[proxy.identity]\nmode = "header"\nheader_name = "X-User"\nrequire_tls = false\n[auth]\nrules_file = "${rules}"\n`,
    )

    expect(await readFrom('127.0.0.2', { 'x-user': 'ann' })).toBe(404)
    expect(await readFrom('127.0.0.1', { 'x-user': 'ann' })).toBe(401)
  })

  test('with mutual TLS the header counts, and nobody gets in without a certificate', async () => {
    const [own, stranger] = [await certificateIn('own'), await certificateIn('stranger')]
    await start(
      program,
      `[transport]\nmode = "mtls"\n[transport.tls]\ncert_path = "${own.certPath}"\nkey_path = "${own.keyPath}"\nclient_ca_path = "${own.certPath}"\n[proxy]\nenabled = true\ntrusted_proxies = ["127.0.0.1"]\n[proxy.identity]\nmode = "header"\nheader_name = "X-User"\n[auth]\nrules_file = "${writeRules()}"\n`,
    )

    expect(await readAs('ann', own)).toBe(404)
    expect(await readAs('eve', own)).toBe(403)
    expect(await readAs('ann', stranger)).toBe('refused')
    expect(await readAs('ann')).toBe('refused')
  })
})
