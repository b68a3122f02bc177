/** A PostgreSQL for one run: from Debian's package, in a temporary folder, reached through a socket in it only. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { chmod, chown, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { PoolConfig } from 'pg'

/** A running server. */
export interface ThrowawayPostgres {
  readonly connection: PoolConfig
  /** What it has logged so far. */
  log(): string
  /** Stops it and removes all of it. */
  stop(): Promise<void>
}

const VERSIONS_FOLDER = '/usr/lib/postgresql'

/** Folder of its programs, which Debian keeps off the PATH; `undefined` if it is not installed. */
export function postgresPrograms(): string | undefined {
  if (!existsSync(VERSIONS_FOLDER)) return undefined
  return readdirSync(VERSIONS_FOLDER)
    .sort((one, other) => Number(other) - Number(one))
    .map((version) => join(VERSIONS_FOLDER, version, 'bin'))
    .find((programs) => existsSync(join(programs, 'initdb')) && existsSync(join(programs, 'postgres')))
}

/** Whom the programs run as: they refuse to be root, so root gives them the user of the package. */
interface Owner {
  readonly uid?: number
  readonly gid?: number
}

/** Makes and starts a server with additional settings, such as `log_statement=all`; rejects with what it says. */
export async function startPostgres(settings: readonly string[] = []): Promise<ThrowawayPostgres> {
  const programs = postgresPrograms()
  if (programs === undefined) throw new Error(`There is no PostgreSQL in ${VERSIONS_FOLDER}`)
  const owner = process.getuid?.() === 0 ? packageUser() : {}
  const folder = await mkdtemp(join(tmpdir(), 'millrace-pg-'))
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true })
  try {
    await chmod(folder, 0o700)
    if (owner.uid !== undefined && owner.gid !== undefined) await chown(folder, owner.uid, owner.gid)
    const data = join(folder, 'data')
    // Whoever gets at the socket is trusted: its folder is open to its owner only.
    const initial = ['-D', data, '-U', 'gatekeeper', '-A', 'trust', '-E', 'UTF8', '--no-locale', '--no-sync']
    await finish(run(join(programs, 'initdb'), initial, folder, owner))
    const always = ['listen_addresses=', `unix_socket_directories=${folder}`, 'fsync=off']
    const flags = [...always, ...settings].flatMap((setting) => ['-c', setting])
    const server = run(join(programs, 'postgres'), ['-D', data, ...flags], folder, owner)
    // Also if whoever started it ends in the middle.
    const endWithParent = (): void => void server.child.kill('SIGQUIT')
    process.once('exit', endWithParent)
    await server.says('database system is ready to accept connections')
    return {
      connection: { host: folder, user: 'gatekeeper', database: 'postgres' },
      log: server.output,
      async stop() {
        server.child.kill('SIGINT')
        await server.exited
        process.off('exit', endWithParent)
        await remove()
      },
    }
  } catch (error) {
    await remove()
    throw error
  }
}

function packageUser(): Owner {
  const idOf = (flag: string): number =>
    Number(spawnSync('id', [flag, 'postgres'], { encoding: 'utf8' }).stdout.trim() || Number.NaN)
  const [uid, gid] = [idOf('-u'), idOf('-g')]
  if (Number.isInteger(uid) && Number.isInteger(gid)) return { uid, gid }
  throw new Error('PostgreSQL does not run as root, and there is no user "postgres" to run it as')
}

interface Running {
  readonly child: ChildProcess
  readonly exited: Promise<number | null>
  output(): string
  /** Rejects if it ends without having said so. */
  says(text: string): Promise<void>
}

function run(program: string, args: readonly string[], cwd: string, owner: Owner): Running {
  // In a process group of its own: a Ctrl-C is for the app, which stops it when it needs it no more.
  const child = spawn(program, args, { cwd, ...owner, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  let output = ''
  const exited = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString()
    })
  }
  return {
    child,
    exited,
    output: () => output,
    async says(text) {
      const ended = exited.then((code) => {
        throw new Error(`${program} ended with ${code}: ${output}`)
      })
      // Its end is a failure for as long as this waits, and no longer.
      ended.catch(() => undefined)
      while (!output.includes(text)) await Promise.race([once(child.stderr, 'data'), ended])
    },
  }
}

async function finish({ child, exited, output }: Running): Promise<void> {
  const code = await exited
  if (code !== 0) throw new Error(`${child.spawnfile} ended with ${code}: ${output()}`)
}
