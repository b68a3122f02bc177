/** `millrace serve` and `millrace dev`: start a server, say what it promises, stop it cleanly. */
import { resolve } from 'node:path'
import {
  type ConfiguredOptions,
  createServer,
  type LoadedConfig,
  logLevelOf,
  type MillraceServer,
  serverOptionsOf,
  TlsFileError,
} from '@millrace/server'
import {
  DiskFull,
  DiskLocked,
  ForeignDirectory,
  HomeCorrupt,
  HomeLost,
  HomeUnreadable,
  JournalDamaged,
} from '@millrace/storage-file'
import { withAdminSocket } from './admin.ts'
import { coloursFor } from './colours.ts'
import { type Log, logAt } from './log.ts'
import { findMode, type OpenMode, openOptionsOf, type StorageHooks } from './storage-mode.ts'
import { UsageError } from './usage-error.ts'

/** Runs a server until it is told to stop by SIGINT or SIGTERM. */
export async function serve(config: LoadedConfig): Promise<void> {
  const name = String(config.get('storage.mode'))
  const mode = findMode(name)
  if (mode === undefined) throw new Error(`the configuration let a storage mode ${name} through`)
  await serveMode(config, mode)
}

/** The same, with a mode that need not have a name. */
export async function serveMode(config: LoadedConfig, mode: OpenMode): Promise<void> {
  const settings: Settings = {
    options: serverOptionsOf(config),
    ...openOptionsOf(config),
    log: logAt(logLevelOf(config)),
  }
  const { log, options } = settings
  for (const note of config.notes) log.warn(note)
  let server: MillraceServer | undefined
  reloadOnSignal(() => server?.reloadTls(), settings)
  server = await start(settings, mode)
  stopOnSignal(server)
  log.info(greeting(server, config, settings, mode))
  if (options.authentication === 'none' && !isLoopback(options.host)) {
    log.warn('Anybody who can reach this address can read and write: there is no authentication.')
  }
}

/** What a server is started with. */
interface Settings {
  readonly options: ConfiguredOptions
  /** Directory of the file modes. */
  readonly dataDir: string
  readonly maxMemoryBytes: number | undefined
  readonly log: Log
}

async function start(settings: Settings, mode: OpenMode): Promise<MillraceServer> {
  const { options, dataDir, maxMemoryBytes, log } = settings
  const onError = (error: unknown): void => log.error(error)
  try {
    const storage = await mode.open({ dataDir, maxMemoryBytes, ...hooksOf(log) })
    const onAnswered = log.request && { onAnswered: log.request }
    const server = await createServer({ ...options, storage, onError, ...onAnswered })
    return 'beginSnapshot' in storage ? await withAdminSocket(server, storage, dataDir, log) : server
  } catch (error) {
    throw explain(error, settings)
  }
}

function hooksOf(log: Log): StorageHooks {
  return {
    // What recovery did is worth a line only if there was something to recover.
    onRecovered({ isClean, replayedRecords, cutBytes }) {
      if (isClean) return
      const cut = cutBytes === 0 ? '' : ` ${cutBytes} bytes that were never acknowledged were cut off.`
      log.info(
        `Recovered: ${replayedRecords} writes replayed from the journal.${cut} Nothing acknowledged was lost.`,
      )
    },
    onPoisoned(error) {
      log.error(error)
      log.error('A write to the data directory failed. Reads go on; writes are refused until the next start.')
    },
  }
}

/** Failures of a data directory that say themselves what to do. */
const TOLD_BY_STORE = [ForeignDirectory, HomeLost, HomeUnreadable, JournalDamaged]

function explain(error: unknown, { options: { host, port }, dataDir }: Settings): unknown {
  if (error instanceof RangeError || error instanceof TlsFileError) return new UsageError(error.message)
  for (const kind of TOLD_BY_STORE) if (error instanceof kind) return new UsageError(error.message)
  if (error instanceof DiskLocked) {
    return new UsageError(`${error.message} Stop it first, or choose another directory with --data-dir.`)
  }
  if (error instanceof HomeCorrupt) {
    return new UsageError(`${dataDir} is damaged: ${error.message}. Put it back from a backup.`)
  }
  const { code, syscall } = systemError(error)
  if (error instanceof DiskFull || code === 'ENOSPC' || code === 'EDQUOT') {
    return new UsageError(
      `There is no room to start in ${dataDir}: free 96 MiB on its disk and start again. Everything stored is still there.`,
    )
  }
  switch (code) {
    case 'EADDRINUSE':
      return new UsageError(
        `Port ${port} is in use. Choose another with --port, or let --port 0 find a free one.`,
      )
    case 'EADDRNOTAVAIL':
    case 'EAI_AGAIN':
    case 'ENOTFOUND':
      return new UsageError(`${host} is not an address of this machine. Use 127.0.0.1, or 0.0.0.0 for all.`)
    case 'EACCES':
      if (syscall === 'listen') {
        return new UsageError(
          `Port ${port} needs more rights than this user has. Choose one above 1023 with --port.`,
        )
      }
      return new UsageError(
        `This user may not write to ${dataDir}. Choose another directory with --data-dir.`,
      )
    default:
      return isAboutPath(error, dataDir)
        ? new UsageError(
            `${dataDir} cannot be used as data directory (${String(code)}). Choose another with --data-dir.`,
          )
        : error
  }
}

/** About the data directory, something in it, or a folder that has to be made for it. */
function isAboutPath(error: unknown, dataDir: string): boolean {
  if (!(error instanceof Error && 'path' in error)) return false
  const [path, root] = [resolve(String(error.path)), resolve(dataDir)]
  return path.includes(root) || root.startsWith(`${path}/`)
}

function systemError(error: unknown): { readonly code: unknown; readonly syscall: unknown } {
  if (!(error instanceof Error)) return { code: undefined, syscall: undefined }
  const code = 'code' in error ? error.code : undefined
  return { code, syscall: 'syscall' in error ? error.syscall : undefined }
}

function greeting(
  server: MillraceServer,
  { profile, files }: LoadedConfig,
  { options, dataDir }: Settings,
  mode: OpenMode,
): string {
  const { bold, cyan } = coloursFor(process.stdout)
  const stream = `${server.url}${(options.streamBasePath ?? '').replace(/\/$/, '')}/hello`
  const sources = [...(profile === 'default' ? [] : [`profile ${profile}`]), ...files]
  return [
    `${bold('Millrace')} is listening on ${cyan(server.url)}`,
    `Storage: ${mode.name}${mode.usesDataDir ? ` in ${dataDir}` : ''} (${mode.promise})`,
    ...(sources.length === 0 ? [] : [`Configuration: ${sources.join(', ')}`]),
    '',
    'Try:',
    `  curl -X PUT -H 'Content-Type: application/json' ${stream}`,
    `  curl -X POST -H 'Content-Type: application/json' -d '{"n":1}' ${stream}`,
    `  curl '${stream}?offset=-1'`,
    '',
    'Stop with Ctrl-C.',
  ].join('\n')
}

function isLoopback(host = 'localhost'): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.')
}

function stopOnSignal(server: MillraceServer): void {
  let isStopping = false
  const stop = (): void => {
    if (isStopping) process.exit(1)
    isStopping = true
    server.close().then(
      () => process.exit(0),
      (error) => {
        console.error(error)
        process.exit(1)
      },
    )
  }
  process.on('SIGINT', stop)
  process.on('SIGTERM', stop)
}

/** SIGHUP reads the certificate again; it ends no server, whatever comes of it. */
function reloadOnSignal(reload: () => Promise<void> | undefined, { options, log }: Settings): void {
  const { tls } = options
  process.on('SIGHUP', () => {
    const reloading = tls && reload()
    if (reloading === undefined) {
      const why = tls === undefined ? 'this server has no certificate' : 'this server is still starting'
      log.info(`SIGHUP: there is nothing to read again, because ${why}.`)
      return
    }
    reloading.then(
      () => log.info(`SIGHUP: new connections get the certificate in ${tls?.certPath} as it is now.`),
      (error: unknown) => {
        const why = error instanceof Error ? error.message : String(error)
        log.error(`SIGHUP: the certificate stays as it was. ${why}`)
      },
    )
  })
}
