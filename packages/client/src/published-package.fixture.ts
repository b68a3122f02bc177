/** The package as npm would publish it, unpacked where a program that uses it would have it. */
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { rolldown } from 'rolldown'

const run = promisify(execFile)
const source = join(import.meta.dirname, '..')

export interface PublishedPackage {
  /** The folder of the program. */
  readonly program: string
  /** The folder of the package in it. */
  readonly folder: string
  readonly tarball: Uint8Array
  /** Puts a file into the program and runs it with this Node. Resolves to what it prints. */
  runFile(name: string, text: string): Promise<string>
  /** The size of a program that uses these exports, in bytes: bundled, minified and gzipped. */
  bundledSize(exports: readonly string[]): Promise<number>
  /** The code of a program that hands everything the package exports to a global function. */
  bundleAll(): Promise<string>
  remove(): Promise<void>
}

/** Builds and packs it. The caller removes it. */
export async function publishPackage(): Promise<PublishedPackage> {
  const program = await mkdtemp(join(tmpdir(), 'millrace-client-'))
  try {
    return await publishInto(program)
  } catch (error) {
    await rm(program, { recursive: true, force: true })
    throw error
  }
}

async function publishInto(program: string): Promise<PublishedPackage> {
  // Apart, because npm can be told to leave out what a package wants to run by itself.
  await run('npm', ['run', 'prepack'], { cwd: source })
  const flags = ['--ignore-scripts', '--json', '--pack-destination', program]
  const packed = await run('npm', ['pack', ...flags], { cwd: source })
  const [entry] = JSON.parse(packed.stdout.slice(packed.stdout.indexOf('[\n'))) as [{ filename: string }]
  const archive = join(program, entry.filename)
  const folder = join(program, 'node_modules', '@millrace', 'client')
  await mkdir(folder, { recursive: true })
  await run('tar', ['-xzf', archive, '--strip-components', '1', '-C', folder])
  await writeFile(join(program, 'package.json'), '{ "type": "module", "private": true }')

  const bundle = async (text: string, minify: boolean): Promise<string> => {
    const input = join(program, 'entry.js')
    await writeFile(input, text)
    const built = await rolldown({ input, cwd: program, platform: 'browser' })
    const { output } = await built.generate({ format: 'iife', name: 'bundled', minify })
    await built.close()
    return output[0].code
  }
  return {
    program,
    folder,
    tarball: await readFile(archive),
    async runFile(name, text) {
      await writeFile(join(program, name), text)
      return (await run(process.execPath, [name], { cwd: program })).stdout
    },
    async bundledSize(exports) {
      const code = await bundle(`export { ${exports.join(', ')} } from '@millrace/client'`, true)
      return gzipSync(code, { level: 9 }).length
    },
    bundleAll: () => bundle("import * as all from '@millrace/client'\nreport(Object.keys(all))", false),
    remove: () => rm(program, { recursive: true, force: true }),
  }
}
