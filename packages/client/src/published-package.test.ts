import { execFile } from 'node:child_process'
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { createContext, runInContext } from 'node:vm'
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core'
import { publint } from 'publint'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { EXPORTED_TYPES, EXPORTED_VALUES } from './public-surface.fixture.ts'
import { type PublishedPackage, publishPackage } from './published-package.fixture.ts'

const run = promisify(execFile)
const { resolve } = createRequire(import.meta.url)
const LONG_MS = 120_000
const KIB = 1024

let published: PublishedPackage

beforeAll(async () => {
  published = await publishPackage()
}, LONG_MS)

afterAll(() => published?.remove())

describe('the published package', () => {
  it('offers the same from ES modules and from CommonJS (C-001)', async () => {
    const names = "console.log(JSON.stringify(Object.keys(all).filter((name) => name !== 'default').sort()))"
    const module = await published.runFile('a.mjs', `import * as all from '@millrace/client'\n${names}`)
    const commonJs = await published.runFile('a.cjs', `const all = require('@millrace/client')\n${names}`)

    expect(JSON.parse(module)).toEqual([...EXPORTED_VALUES].sort())
    expect(JSON.parse(commonJs)).toEqual([...EXPORTED_VALUES].sort())
  })

  it('is resolved with types by every kind of project', { timeout: LONG_MS }, async () => {
    const { problems } = await checkPackage(createPackageFromTarballData(published.tarball)).then((result) =>
      result.types ? result : { problems: ['no types'] },
    )

    expect(problems).toEqual([])
  })

  it('has a package.json in which nothing is wrong', { timeout: LONG_MS }, async () => {
    const { messages } = await publint({ pkgDir: published.folder, pack: false, strict: true })

    expect(messages).toEqual([])
  })

  it('needs no other package', async () => {
    const manifest = JSON.parse(await readFile(join(published.folder, 'package.json'), 'utf8'))
    const files = await readdir(published.folder, { recursive: true })
    const code = files.filter((name) => /^dist\/.*\.(js|d\.ts)$/.test(name))
    const specifiers = await Promise.all(
      code.map(async (name) => {
        const text = await readFile(join(published.folder, name), 'utf8')
        return [...text.matchAll(/^(?:import|export)\b[^'"]*from ['"]([^.'"][^'"]*)['"]/gm)].map(
          (found) => found[1],
        )
      }),
    )

    expect(manifest.dependencies ?? {}).toEqual({})
    expect(manifest.sideEffects).toBe(false)
    expect(code.length).toBeGreaterThan(40)
    expect(specifiers.flat()).toEqual([])
    expect(files.filter((name) => /\.(test|fixture)\.|tsbuildinfo/.test(name))).toEqual([])
  })

  it('is loaded without effects where there is no process, document, window or Buffer (C-002)', async () => {
    const { TextDecoder, TextEncoder } = globalThis
    let names: readonly string[] = []
    const report = (found: readonly string[]): void => {
      names = found
    }
    const context = createContext({ TextDecoder, TextEncoder, report })
    const before = Object.keys(context)
    runInContext(await published.bundleAll(), context)

    expect([...names].sort()).toEqual([...EXPORTED_VALUES].sort())
    expect(Object.keys(context)).toEqual(before)
    expect(runInContext('typeof process + typeof document + typeof window + typeof Buffer', context)).toBe(
      'undefined'.repeat(4),
    )
  })

  it('is small: stream alone at most 12 KiB, everything at most 20 KiB', async () => {
    const reading = await published.bundledSize(['stream'])
    const all = await published.bundledSize(EXPORTED_VALUES)

    expect(reading).toBeLessThanOrEqual(12 * KIB)
    expect(all).toBeLessThanOrEqual(20 * KIB)
    expect(reading).toBeLessThan(all)
  })
})

describe('strict TypeScript programs', () => {
  const program = `
import * as client from '@millrace/client'
import { stream } from '@millrace/client'
import type { ${EXPORTED_TYPES.map((type) => type.replace(/<.*/, '')).join(', ')} } from '@millrace/client'

export type All = [${EXPORTED_TYPES.join(', ')}]
export const values = [${EXPORTED_VALUES.map((name) => `client.${name}`).join(', ')}]

export async function untyped(): Promise<number> {
  const response = await stream({ url: 'https://example.org/s' })
  response.subscribeJson(async (batch) => {
    for (const event of batch.items) console.log(event.data.deep, batch.offset)
  })
  for await (const event of response.jsonStream()) console.log(event.timestamp)
  const [first] = await response.json()
  return first.anything
}

export async function typed(): Promise<string | undefined> {
  const response = await stream<{ name: string }>({ url: new URL('https://example.org/s'), live: false, signal: undefined })
  const [first] = await response.json()
  // @ts-expect-error: the type that was given has no such field
  console.log(first?.anything)
  // @ts-expect-error: a position is read only
  response.offset = '-1'
  return first?.name
}
`

  async function compile(folder: string, compiler: string, lib: readonly string[], types: readonly string[]) {
    const place = join(published.program, folder)
    await mkdir(place, { recursive: true })
    const nodeTypes = dirname(dirname(resolve('@types/node/package.json')))
    await symlink(nodeTypes, join(published.program, 'node_modules', '@types')).catch(() => undefined)
    for (const name of ['module.mts', 'common.cts']) await writeFile(join(place, name), program)
    const compilerOptions = { strict: true, noEmit: true, target: 'es2022', module: 'nodenext', lib, types }
    const options = { ...compilerOptions, skipLibCheck: false, typeRoots: ['../node_modules/@types'] }
    await writeFile(join(place, 'tsconfig.json'), JSON.stringify({ compilerOptions: options }))
    const result = await run(process.execPath, [compiler, '-p', place]).catch((error) => error)
    return String(result.stdout)
  }

  const current = join(dirname(resolve('typescript/package.json')), 'bin', 'tsc')
  const older = () => {
    const core = createRequire(resolve('@arethetypeswrong/core'))
    return join(dirname(core.resolve('typescript/package.json')), 'bin', 'tsc')
  }

  it('in a browser compile, with events of any type (C-001, C-004)', { timeout: LONG_MS }, async () => {
    const lib = ['es2022', 'dom', 'dom.iterable', 'dom.asynciterable']
    expect(await compile('browser', current, lib, [])).toBe('')
  })

  it('in Node, without the types of a browser, compile (C-001, C-004)', { timeout: LONG_MS }, async () => {
    expect(await compile('node', current, ['es2022'], ['node'])).toBe('')
  })

  it('compile with an older TypeScript (C-001, C-004)', { timeout: LONG_MS }, async () => {
    expect(await compile('older', older(), ['es2022'], ['node'])).toBe('')
  })
})
