import { execFile, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'

const root = new URL('../../../', import.meta.url)
const readme = readFileSync(new URL('README.md', root), 'utf8')
const commands = [...readme.matchAll(/^```sh\n([\s\S]*?)^```/gm)].map((match) => (match[1] ?? '').trim())

/** What a command of the README has to print, by a part of its text; everything else prints a 2xx status. */
const EXPECTED: readonly (readonly [part: string, output: RegExp])[] = [
  ['live=sse', /^event: data\ndata:\[\{"type":"created","total":42\},\ndata:\{"type":"paid"\}/],
  ['-X PUT', /^HTTP\/1\.1 201 /],
  ['Producer-Id', /^HTTP\/1\.1 200 /],
]
const SUCCESS = /^HTTP\/1\.1 2\d\d /

/** `curl --max-time` on a stream that goes on ends with this code. */
const CURL_TIMED_OUT = 28

let server: ReturnType<typeof spawn>
let url = ''
const folder = mkdtempSync(join(tmpdir(), 'millrace-readme-'))

beforeAll(async () => {
  const bin = new URL('packages/cli/bin/millrace.js', root).pathname
  server = spawn(process.execPath, [bin, 'serve', '--port', '0'], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  url = await new Promise((resolve, reject) => {
    let output = ''
    server.once('exit', (code) => reject(new Error(`the server ended with ${code}: ${output}`)))
    server.stdout?.on('data', (chunk: Buffer) => {
      output += chunk.toString()
      const found = /http:\/\/127\.0\.0\.1:\d+/.exec(output)
      if (found) resolve(found[0])
    })
  })
})

afterAll(async () => {
  const ended = new Promise((resolve) => server.once('exit', resolve))
  server.kill()
  await ended
  rmSync(folder, { recursive: true, force: true })
})

function runShell(command: string): Promise<{ readonly code: number; readonly output: string }> {
  return new Promise((resolve) => {
    execFile('sh', ['-c', command], (error, stdout) => {
      resolve({ code: error === null ? 0 : Number(error.code), output: stdout })
    })
  })
}

it('prints commands that work as they stand, in their order', async () => {
  expect(commands.length).toBeGreaterThan(9)
  for (const command of commands) {
    expect(command).toContain('http://127.0.0.1:4437/')
    const { code, output } = await runShell(command.replaceAll('http://127.0.0.1:4437', url))
    expect([0, CURL_TIMED_OUT], command).toContain(code)
    expect(output, command).toMatch(EXPECTED.find(([part]) => command.includes(part))?.[1] ?? SUCCESS)
  }
}, 30_000)
