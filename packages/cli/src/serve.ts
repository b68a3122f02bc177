/** `millrace serve` and `millrace dev`: start a server, say what it promises, stop it cleanly. */
import { createServer, type MillraceServer } from '@millrace/server'
import { coloursFor } from './colours.ts'
import { findMode, type OpenMode } from './storage-mode.ts'

/** Settings of a server as the command line gives them. */
export interface ServeSettings {
  readonly host: string
  readonly port: number
  readonly storage: string
  readonly longPollTimeoutMs: number
  readonly sseReconnectIntervalMs: number
  readonly streamBasePath: string
  readonly allowedOrigins: readonly string[]
  readonly allowedHosts: readonly string[]
  readonly publicUrl: string | undefined
}

/** A failure that is the user's to mend; its message is all they need. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** Runs a server until it is told to stop by SIGINT or SIGTERM. */
export async function serve(settings: ServeSettings): Promise<void> {
  const mode = findMode(settings.storage)
  if ('refusal' in mode) throw new UsageError(mode.refusal)
  const server = await start(settings, mode)
  stopOnSignal(server)
  console.log(greeting(server, settings, mode))
  if (!isLoopback(settings.host)) {
    console.error(
      coloursFor(process.stderr).yellow(
        'Anybody who can reach this address can read and write: there is no authentication.',
      ),
    )
  }
}

async function start(settings: ServeSettings, mode: OpenMode): Promise<MillraceServer> {
  const { host, port, longPollTimeoutMs, sseReconnectIntervalMs, streamBasePath, publicUrl } = settings
  try {
    return await createServer({
      storage: mode.open(),
      host,
      port,
      longPollTimeoutMs,
      sseReconnectIntervalMs,
      streamBasePath,
      allowedOrigins: anyOr(settings.allowedOrigins),
      allowedHosts: anyOr(settings.allowedHosts),
      ...(publicUrl !== undefined && { publicUrl }),
    })
  } catch (error) {
    throw explain(error, settings)
  }
}

function anyOr(names: readonly string[]): '*' | readonly string[] {
  return names.includes('*') ? '*' : names
}

function explain(error: unknown, { host, port }: ServeSettings): unknown {
  if (error instanceof RangeError) return new UsageError(error.message)
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  switch (code) {
    case 'EADDRINUSE':
      return new UsageError(
        `Port ${port} is in use. Choose another with --port, or let --port 0 find a free one.`,
      )
    case 'EACCES':
      return new UsageError(
        `Port ${port} needs more rights than this user has. Choose one above 1023 with --port.`,
      )
    case 'EADDRNOTAVAIL':
    case 'EAI_AGAIN':
    case 'ENOTFOUND':
      return new UsageError(`${host} is not an address of this machine. Use 127.0.0.1, or 0.0.0.0 for all.`)
    default:
      return error
  }
}

function greeting(server: MillraceServer, settings: ServeSettings, mode: OpenMode): string {
  const { bold, cyan } = coloursFor(process.stdout)
  const stream = `${server.url}${settings.streamBasePath.replace(/\/$/, '')}/hello`
  return [
    `${bold('Millrace')} is listening on ${cyan(server.url)}`,
    `Storage: ${mode.name} (${mode.promise})`,
    '',
    'Try:',
    `  curl -X PUT -H 'Content-Type: application/json' ${stream}`,
    `  curl -X POST -H 'Content-Type: application/json' -d '{"n":1}' ${stream}`,
    `  curl '${stream}?offset=-1'`,
    '',
  ].join('\n')
}

function isLoopback(host: string): boolean {
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
