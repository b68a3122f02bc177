/** `millrace verify` and `millrace inspect` as people run them: what they print, and how they exit. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { runMillrace, startMillrace } from './millrace-process.fixture.ts'
import { makeUsedDirectories, type UsedDirectories } from './used-directory.fixture.ts'

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

const TRACE = /^\s+at |node:internal|\.js:\d+|Error:/m

let used: UsedDirectories
const folders: string[] = []

beforeAll(async () => {
  used = await makeUsedDirectories()
})

afterAll(() => {
  used.remove()
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-verify-'))
  folders.push(folder)
  return folder
}

/** A copy in which a block of some stream is damaged. */
function damagedCopy(): string {
  const dataDir = used.copy('stopped')
  const file = join(dataDir, 'blocks/0000000006.blk')
  const bytes = readFileSync(file)
  // The newest block of all: some stream has its bytes.
  bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1)
  writeFileSync(file, bytes)
  return dataDir
}

describe('verify', () => {
  it('exits with 0 where nothing is damaged, and says what it checked', async () => {
    const { code, stdout, stderr } = await runMillrace(['verify', '--data-dir', used.killed])

    expect([code, stderr]).toEqual([0, ''])
    expect(stdout).toMatch(/ is sound\.\nChecked [0-9]+ streams and [0-9]+ entries of the home,/)
  })

  it('exits with 1 where something is, and names the stream, the positions and the file', async () => {
    const { code, stdout, stderr } = await runMillrace(['verify', '--data-dir', damagedCopy()])

    expect([code, stderr]).toEqual([1, ''])
    expect(stdout).toMatch(/^error {2}stream [a-z0-9]+, positions [0-9]+ to [0-9]+$/m)
    expect(stdout).toMatch(/blocks\/0000000006\.blk, bytes [0-9]+ to [0-9]+/)
    expect(stdout).toMatch(/ is damaged: [0-9]+ errors?\.$/m)
  })

  it('prints one object with --json', async () => {
    const { code, stdout, stderr } = await runMillrace(['verify', '--json', '--data-dir', damagedCopy()])
    const report = JSON.parse(stdout)

    expect([code, stderr]).toEqual([1, ''])
    expect(Object.keys(report)).toEqual(['isSound', 'errors', 'notices', 'findings', 'checked'])
    expect(report.findings[0]).toMatchObject({ severity: 'error', where: { kind: 'stream' } })
    expect(report.findings).toHaveLength(report.errors + report.notices)
  })
})

describe.each(['verify', 'inspect'])('%s exits with 2 and a sentence', (command) => {
  async function refusal(args: readonly string[]): Promise<readonly unknown[]> {
    const { code, stdout, stderr } = await runMillrace([command, ...args])
    return [code, stdout, TRACE.test(stderr), stderr]
  }

  it('while a server runs on the directory', async () => {
    const dataDir = used.copy('stopped')
    const server = await startMillrace(['serve', '--port', '0', '--data-dir', dataDir])
    const refused = await refusal(['--data-dir', dataDir])
    await server.stop()

    expect(refused).toEqual([
      2,
      '',
      false,
      expect.stringMatching(/in use by process [0-9]+\. Stop the server first/),
    ])
  })

  it('where there is no directory, which it does not make', async () => {
    const dataDir = join(newFolder(), 'nowhere')

    expect(await refusal(['--data-dir', dataDir])).toEqual([
      2,
      '',
      false,
      expect.stringContaining('There is no data directory of Millrace at '),
    ])
    expect(existsSync(dataDir)).toBe(false)
  })

  it('for a file, which no folder can be in either', async () => {
    const file = join(newFolder(), 'file')
    writeFileSync(file, 'kept')
    const told = expect.stringMatching(/^There is no data directory of Millrace at .*--data-dir/)

    expect(await refusal(['--data-dir', file])).toEqual([2, '', false, told])
    expect(await refusal(['--data-dir', join(file, 'below')])).toEqual([2, '', false, told])
  })

  it('for an empty directory, which stays empty', async () => {
    const dataDir = newFolder()

    expect((await refusal(['--data-dir', dataDir]))[0]).toBe(2)
    expect(existsSync(join(dataDir, 'LOCK'))).toBe(false)
  })

  it.each([
    ['millrace data directory, format 2\n', /has format 2; this version reads format 1/],
    ['something else', /not Millrace/],
  ])('for a FORMAT file that says %j', async (text, message) => {
    const dataDir = newFolder()
    writeFileSync(join(dataDir, 'FORMAT'), text)

    expect(await refusal(['--data-dir', dataDir])).toEqual([2, '', false, expect.stringMatching(message)])
  })

  it('for a directory of something else', async () => {
    const dataDir = newFolder()
    mkdirSync(join(dataDir, 'photographs'))

    expect(await refusal(['--data-dir', dataDir])).toEqual([
      2,
      '',
      false,
      expect.stringMatching(/not Millrace's \(it has photographs\)/),
    ])
  })

  it('for flags that it does not have', async () => {
    expect(await refusal(['--repair'])).toEqual([
      2,
      '',
      false,
      expect.stringContaining("unknown option '--repair'"),
    ])
  })

  it('and says so in its help, which exits with 0', async () => {
    const { code, stdout } = await runMillrace([command, '--help'])

    expect(code).toBe(0)
    expect(stdout).toMatch(/exit code is 0 if nothing is damaged, 1 if damage was found, and 2 if/)
  })
})

describe('inspect', () => {
  it('lists streams, what is only in the journal included, files and totals', async () => {
    const { code, stdout, stderr } = await runMillrace(['inspect', '--messages', '--data-dir', used.killed])

    expect([code, stderr]).toEqual([0, ''])
    expect(stdout).toMatch(/^Stream +Content type +Tail +Messages +Producers +Remarks$/m)
    // Made in the last round, which no checkpoint has seen.
    expect(stdout).toMatch(/^grandchild3 +text\/plain +[0-9]+ +0 +0 +fork of fork3 at [0-9]+$/m)
    expect(stdout).toMatch(/^fork3 .*deleted, kept for its forks, fork of s1 at [0-9]+, 1 fork$/m)
    expect(stdout).toMatch(/^window3 .* expires [0-9-]+T/m)
    expect(stdout).toMatch(/^s11 .* closed$/m)
    expect(stdout).toMatch(/^blocks\/0000000001\.blk +[0-9.]+ KiB +[0-9]+ %$/m)
    expect(stdout).toMatch(
      /^[0-9]+ commits so far, [0-9]+ of them in blocks; the next start replays [0-9.]+ KiB\.$/m,
    )
  })

  it('prints one object a line with --json', async () => {
    const { code, stdout } = await runMillrace(['inspect', '--json', '--messages', '--data-dir', used.killed])
    const lines = stdout
      .trimEnd()
      .split('\n')
      .map((text) => JSON.parse(text))
    const streams = lines.filter(({ kind }) => kind === 'stream')
    const totals = lines.at(-1)
    const paths = streams.map(({ path }) => path)

    expect(code).toBe(0)
    expect(paths).toEqual([...paths].sort())
    // Six appends a round, in rounds 0 to 3.
    expect(streams.find(({ path }) => path === 's1')).toMatchObject({ messages: 24, forks: 4, closed: false })
    expect(new Set(lines.map(({ kind }) => kind))).toEqual(
      new Set(['stream', 'block-file', 'segment', 'totals']),
    )
    expect(totals).toMatchObject({ kind: 'totals', streams: streams.length, errors: 0 })
    expect(totals.lastSequence).toBeGreaterThan(totals.appliedSequence)
  })

  it('lists what --prefix and --limit ask for, and counts all of it', async () => {
    const args = ['inspect', '--json', '--prefix', 'fork', '--limit', '2', '--data-dir', used.killed]
    const lines = (await runMillrace(args)).stdout
      .trimEnd()
      .split('\n')
      .map((text) => JSON.parse(text))

    expect(lines.filter(({ kind }) => kind === 'stream').map(({ path }) => path)).toEqual(['fork0', 'fork1'])
    expect(lines.at(-1)).toMatchObject({ streams: 4 })
  })

  it('says that a damaged database has to be verified, and exits with 1', async () => {
    const dataDir = used.copy('stopped')
    rmSync(join(dataDir, 'home'), { recursive: true })
    const { code, stdout, stderr } = await runMillrace(['inspect', '--data-dir', dataDir])

    expect([code, stdout]).toEqual([1, ''])
    expect(stderr).toMatch(/cannot be read.*Run millrace verify/)
  })
})
