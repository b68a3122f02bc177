/** The event sourcing page's samples as modules of a project: what they need is added, the rest is the page's. */
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { typeScriptSamples } from './page-samples.fixture.ts'

const { resolve } = createRequire(import.meta.url)
const COMPILER = join(dirname(resolve('typescript/package.json')), 'bin', 'tsc')
const PAGE = new URL('../samples/event-sourcing.txt', import.meta.url)
const READER = new URL('./page-reader.fixture.ts', import.meta.url)
// Inside the repository: a sample finds the client by the name of its package.
const PROJECTS = fileURLToPath(new URL('../../test-results/', import.meta.url))

const CLIENT = '@millrace/client'
const REDUCER = './sample-4.ts'
const READERS = './reader.ts'

/** A further module, for the sample that goes on with a session without saying which. */
const SESSION = `import { stream } from '${CLIENT}'
import { eventLogUrl } from '${READERS}'
export const res = await stream({ url: eventLogUrl, offset: '-1', live: true })
`

/**
 * The composition rule. Sample n, counted from 1, becomes the module `sample-n.ts`. A name it uses but does not declare
 * comes from, in this order: the sample before it that declares the name, the package, or the reader's module. The
 * imports that say so, and an export of what tests look at, are added below the sample: imports hold for the whole
 * module wherever they stand, and so the lines stay those of the page. Samples of one project share the reader's module
 * and so its order.
 */
const ADDED: readonly string[] = [
  use(READERS, 'orderId') + give('eventLog'),
  use(REDUCER, 'applyEvent, initialState') + use(READERS, 'orderId') + give('events, state'),
  use(CLIENT, 'stream') +
    use(REDUCER, 'applyEvent, initialState') +
    use(READERS, 'orderId, saveCheckpoint') +
    give('res, state'),
  give('applyEvent, initialState, type OrderState'),
  use(CLIENT, 'stream') +
    use(REDUCER, 'applyEvent, initialState') +
    use(READERS, 'eventLogUrl') +
    give('currentState'),
  use(READERS, 'orderId, paymentId, total') + give('eventLog, producer'),
  use(CLIENT, 'stream') +
    use(REDUCER, 'applyEvent, type OrderState') +
    use(READERS, 'loadSnapshot, orderId, replayFromBeginning, saveSnapshot') +
    give('restoreState, takeSnapshot'),
  give('projectToSummary, type OrderSummary'),
  use(CLIENT, 'stream') +
    use('./sample-8.ts', 'projectToSummary, type OrderSummary') +
    use(
      READERS,
      'type AuditEntry, eventLogUrl, projectToAudit, saveAuditTrail, saveCheckpoint, saveSummary',
    ) +
    give('res'),
  use(CLIENT, 'DurableStream') +
    use(READERS, 'orderId, userId, workspaceId') +
    give('orderStream, userStream, workspaceStream'),
  use(CLIENT, 'stream') +
    use(REDUCER, 'applyEvent, initialState, type OrderState') +
    use(READERS, 'orderId') +
    give('getStateAtTime, stateYesterday'),
  use(REDUCER, 'type OrderState') + give('applyEvent'),
  use('./sample-1.ts', 'eventLog') + give('handleCreateOrder'),
  use('./session.ts', 'res') + use(READERS, 'db, updateMaterializedView') + give('getOrderSummary, res'),
]

function use(module: string, names: string): string {
  return `import { ${names} } from '${module}'\n`
}

function give(names: string): string {
  return `export { ${names} }\n`
}

/** An error of the compiler. `sample` is the number of the sample, or the name of a module that is none. */
export interface Diagnostic {
  readonly sample: number | string
  /** In the sample, counted from 1. */
  readonly line: number
  readonly code: string
}

/** A folder of modules. The caller removes it. */
export interface PageProject {
  readonly folder: string
  /** The path of a module, to import it. */
  path(module: string): string
  /** Everything the compiler finds wrong under `strict`, in the order of modules and lines. */
  check(): Promise<readonly Diagnostic[]>
  remove(): Promise<void>
}

/** How many samples the rule above has something to add to. */
export const ADDED_COUNT: number = ADDED.length

/** Writes the project, with the host of the samples' URLs replaced. `edit` changes samples before they are written. */
export async function writeProject(
  serverUrl: string,
  edit: (text: string, sample: number) => string = (text) => text,
): Promise<PageProject> {
  await mkdir(PROJECTS, { recursive: true })
  const folder = await mkdtemp(join(PROJECTS, 'samples-'))
  const path = (module: string): string => join(folder, `${module}.ts`)
  const write = (module: string, text: string): Promise<void> =>
    writeFile(path(module), text.replaceAll('https://your-server.com', serverUrl))
  for (const [index, { text }] of typeScriptSamples(await readFile(PAGE, 'utf8')).entries()) {
    const sample = index + 1
    const renamed = edit(text, sample).replaceAll('@durable-streams/client', CLIENT)
    await write(`sample-${sample}`, `${renamed}\n\n${ADDED[index] ?? ''}`)
  }
  await write('reader', await readFile(READER, 'utf8'))
  await write('session', SESSION)
  await writeFile(join(folder, 'package.json'), '{ "type": "module", "private": true }')
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: COMPILER_OPTIONS }))
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true })
  return { folder, path, check: () => diagnostics(folder), remove }
}

const COMPILER_OPTIONS = {
  strict: true,
  noEmit: true,
  target: 'es2022',
  module: 'nodenext',
  lib: ['es2022', 'dom', 'dom.iterable', 'dom.asynciterable'],
  types: [],
  allowImportingTsExtensions: true,
  // The client's source, which its published types are made from, so that no build has to come first.
  customConditions: ['millrace-source'],
}

/** Throws when the compiler says anything that is not an error at a place. */
async function diagnostics(folder: string): Promise<readonly Diagnostic[]> {
  const lines = (await compile(folder)).split('\n').filter((line) => line !== '' && !line.startsWith(' '))
  return lines
    .map((line): Diagnostic => {
      const found = /^([^(]+)\.ts\((\d+),\d+\): error (TS\d+): /.exec(line)
      if (found === null) throw new Error(`The compiler failed: ${line}`)
      const [, module = '', at, code = ''] = found
      const number = /^sample-(\d+)$/.exec(module)?.[1]
      return { sample: number === undefined ? module : Number(number), line: Number(at), code }
    })
    .sort((a, b) => Number(a.sample) - Number(b.sample) || a.line - b.line)
}

function compile(folder: string): Promise<string> {
  return new Promise((done, fail) => {
    const flags = [COMPILER, '-p', folder, '--pretty', 'false']
    execFile(process.execPath, flags, { cwd: folder }, (error, stdout, stderr) => {
      // Exit code 2 is how it says that it found errors.
      if (error !== null && stdout === '')
        fail(new Error(`The compiler did not run: ${stderr}`, { cause: error }))
      else done(stdout)
    })
  })
}
