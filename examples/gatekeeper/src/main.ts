/** `npm run example:gatekeeper`: runs the app, the streams and, unless it is told of one, a PostgreSQL. */
import { parseArgs } from 'node:util'
import { memoryStorage, type StreamStorage } from '@millrace/server'
import { fileStorage } from '@millrace/storage-file'
import type { PoolConfig } from 'pg'
import { type PublicUrls, startGatekeeper } from './gatekeeper.ts'
import { postgresPrograms, startPostgres } from './throwaway-postgres.ts'

const FLAGS =
  'Flags: --port <number>, --streams-port <number>, --token-seconds <number>, ' +
  '--database <url> together with --data-dir <folder>, --app-url <origin> together with --streams-url <origin>'

interface Settings {
  readonly port: number
  readonly streamsPort: number
  readonly tokenSeconds: number
  readonly publicUrls: PublicUrls | undefined
  /** What stays when the program ends; nothing does without. */
  readonly kept: { readonly database: string; readonly dataDir: string } | undefined
}

/** The user can put it right. */
class UsageError extends Error {}

function readSettings(): Settings {
  try {
    const { values } = parseArgs({
      options: {
        port: { type: 'string', default: '4438' },
        'streams-port': { type: 'string', default: '4437' },
        'token-seconds': { type: 'string', default: '300' },
        database: { type: 'string' },
        'data-dir': { type: 'string' },
        'app-url': { type: 'string' },
        'streams-url': { type: 'string' },
      },
    })
    return {
      port: wholeNumber('port', values.port, 0, 65_535),
      streamsPort: wholeNumber('streams-port', values['streams-port'], 0, 65_535),
      tokenSeconds: wholeNumber('token-seconds', values['token-seconds'], 1, 3600),
      publicUrls: publicUrls(values['app-url'], values['streams-url']),
      kept: both(values.database, values['data-dir']),
    }
  } catch (error) {
    throw new UsageError(`${error instanceof Error ? error.message : error}. ${FLAGS}`)
  }
}

function wholeNumber(name: string, text: string, least: number, most: number): number {
  const number = Number(text)
  if (/^\d+$/.test(text) && number >= least && number <= most) return number
  throw new RangeError(`--${name} is a whole number from ${least} to ${most}, not ${text}`)
}

/** Accounts whose streams are gone, or the other way round, would be of no use. */
function both(database: string | undefined, dataDir: string | undefined): Settings['kept'] {
  if (database !== undefined && dataDir !== undefined) return { database, dataDir }
  if (database === dataDir) return undefined
  throw new RangeError('--database and --data-dir go together')
}

function publicUrls(app: string | undefined, streams: string | undefined): PublicUrls | undefined {
  if (app === undefined && streams === undefined) return undefined
  const isOrigin = (url: string | undefined): url is string =>
    url !== undefined && /^https?:\/\/[^/\s]+$/.test(url)
  if (isOrigin(app) && isOrigin(streams)) return { app, streams }
  throw new RangeError(
    '--app-url and --streams-url go together, and are written like https://app.example.com',
  )
}

interface Stores {
  readonly database: PoolConfig
  readonly storage: StreamStorage
  readonly what: string
  remove(): Promise<void>
}

async function openStores({ kept }: Settings): Promise<Stores> {
  if (kept !== undefined) {
    const { database, dataDir } = kept
    const storage = await fileStorage({ dataDir })
    const what = `the streams are in ${dataDir}`
    return { database: { connectionString: database }, storage, what, remove: async () => undefined }
  }
  if (postgresPrograms() === undefined) {
    const advice = 'Install it (apt-get install postgresql), or name one with --database and --data-dir.'
    throw new UsageError(`There is no PostgreSQL in /usr/lib/postgresql. ${advice}`)
  }
  const postgres = await startPostgres()
  const what = 'accounts and streams are gone when it ends'
  return { database: postgres.connection, storage: memoryStorage(), what, remove: () => postgres.stop() }
}

/** What to say about a failure: advice where the user can put it right, everything that is known otherwise. */
function toMessage(error: unknown): unknown {
  if (error instanceof UsageError) return error.message
  if (!(error instanceof Error)) return error
  if ('code' in error && error.code === 'EADDRINUSE') {
    return `${error.message}. Say --port 0 and --streams-port 0 for free ports.`
  }
  if ('code' in error && error.code === 'ECONNREFUSED') return `No PostgreSQL answers: look at --database.`
  // Without the properties of an error: those of a database name what it was connected with.
  return error.name === 'DiskLocked' ? `${error.message} Say --data-dir for another folder.` : error.stack
}

async function run(settings: Settings): Promise<void> {
  const { database, storage, what, remove } = await openStores(settings)
  const onError = (error: unknown): void => console.error(toMessage(error))
  try {
    const app = await startGatekeeper({ ...settings, database, storage, log: console.log, onError })
    console.log(`Gatekeeper on ${app.appUrl}, streams on ${app.streamsUrl} (${what}; stop with Ctrl-C)`)
    process.on('SIGHUP', () => void app.rotateKeys().catch(onError))
    const signal = await new Promise((resolve) => {
      process.once('SIGINT', resolve)
      process.once('SIGTERM', resolve)
    })
    console.log(`${signal}: closing`)
    await app.close()
  } finally {
    await remove()
  }
}

try {
  await run(readSettings())
} catch (error) {
  console.error(toMessage(error))
  process.exitCode = 1
}
