/** A server whose system calls are written down by strace. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SMALL_ON_NODE, startMillrace } from './millrace-process.fixture.ts'
import { parseTrace, type SystemCall } from './system-calls.fixture.ts'

const CALLS = [
  ...['openat', 'rename', 'renameat', 'renameat2', 'unlink', 'unlinkat', 'ftruncate'],
  ...['write', 'writev', 'pwrite64', 'pwritev', 'pwritev2', 'sendto', 'sendmsg'],
  ...['fsync', 'fdatasync'],
]

/** Why nothing can be traced here; `undefined` if it can. */
export function whyNotTraceable(): string | undefined {
  const { error, status, stderr } = spawnSync('strace', ['-f', '-o', '/dev/null', 'true'], {
    encoding: 'utf8',
  })
  if (error !== undefined) return 'strace is not installed: apt-get install strace'
  return status === 0 ? undefined : `strace may not trace here: ${stderr.trim()}`
}

/** A running server with its trace. */
export interface TracedServer {
  readonly url: string
  /** The calls so far. */
  calls(): readonly SystemCall[]
  /** Stops the server cleanly; its last call is in the trace then. */
  stop(): Promise<void>
  /** Ends it in any case, and removes everything. */
  remove(): Promise<void>
}

/** Starts a server with small limits on a new data directory. */
export async function startTraced(
  storage: 'file-durable' | 'file-fast',
  limits: Readonly<Record<string, number>>,
): Promise<TracedServer> {
  const obstacle = whyNotTraceable()
  if (obstacle !== undefined) throw new Error(obstacle)
  const folder = mkdtempSync(join(tmpdir(), 'millrace-trace-'))
  const trace = join(folder, 'trace')
  const dataDir = join(folder, 'data')
  const tracer = ['strace', '-f', '-y', '-s', '300000', '-o', trace, '-e', `trace=${CALLS.join()}`] as const
  const args = ['--storage', storage, '--data-dir', dataDir, '--limits', JSON.stringify(limits)]
  // Through io_uring, as libuv uses it in some versions of Node, nothing could be seen.
  const server = await startMillrace(args, { UV_USE_IO_URING: '0' }, [...tracer, ...SMALL_ON_NODE])
  // The owner of the directory is the traced process; the one that was started is its tracer.
  const pid = Number(readFileSync(join(dataDir, 'LOCK'), 'utf8'))
  let isOver = false
  // The tracer ends with what it traces.
  const over = server.ended.then(() => {
    isOver = true
  })
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (!isOver) process.kill(pid, signal)
    await over
  }
  return {
    url: server.url,
    calls: () => parseTrace(readFileSync(trace, 'utf8')),
    stop: () => end('SIGTERM'),
    async remove() {
      await end('SIGKILL')
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
