/** The servers to compare: how each is started, on a temporary directory of its own or on one that is given. */
import { makeDirectory, removeDirectory } from './data-directory.ts'
import type { ServerUnderTest } from './scenario.ts'
import { ServerProcess, scriptPath } from './server-process.ts'

export const TARGET_NAMES = [
  'bare',
  'upstream',
  'upstream-file',
  'millrace',
  'millrace-fast',
  'millrace-durable',
] as const
export type TargetName = (typeof TARGET_NAMES)[number]

/** Those that keep what they are given on disk. */
export const FILE_TARGETS: readonly TargetName[] = ['upstream-file', 'millrace-fast', 'millrace-durable']

export interface TargetProcess extends ServerUnderTest {
  readonly greeting: string
  /** Resolves once the process has ended, and its directory is gone if it was its own. */
  stop(): Promise<void>
  /** Ends it as a crash would. */
  kill(): Promise<void>
}

function millrace(storage: string, ...options: readonly string[]): readonly string[] {
  const command = scriptPath('../../packages/cli/bin/millrace.js')
  return [command, 'serve', '--port', '0', '--storage', storage, ...options]
}

function argsOf(name: TargetName): readonly string[] {
  switch (name) {
    case 'bare':
      return [scriptPath('./bare-server.js')]
    case 'upstream':
      return [scriptPath('./upstream-server.js')]
    case 'upstream-file':
      return [scriptPath('./upstream-server.js'), './data']
    case 'millrace':
      return millrace('memory')
    case 'millrace-fast':
      return millrace('file-fast', '--data-dir', './data')
    case 'millrace-durable':
      return millrace('file-durable', '--data-dir', './data')
  }
}

/** Starts a target in a directory that stays; its data is below `data`. */
export async function startTargetIn(directory: string, name: TargetName): Promise<TargetProcess> {
  const server = await ServerProcess.start({ name, args: argsOf(name), directory })
  const { origin, pid, greeting } = server
  return {
    name,
    origin,
    pid,
    greeting,
    stores: name !== 'bare',
    stop: () => server.stop(),
    kill: () => server.kill(),
  }
}

/** Starts a target in a new directory below `root`, which is removed when the target stops. */
export async function startTarget(name: TargetName, root?: string): Promise<TargetProcess> {
  const directory = makeDirectory(root)
  const removing = async (end: () => Promise<void>): Promise<void> => {
    await end()
    removeDirectory(directory)
  }
  try {
    const target = await startTargetIn(directory, name)
    return {
      ...target,
      stop: () => removing(() => target.stop()),
      kill: () => removing(() => target.kill()),
    }
  } catch (error) {
    removeDirectory(directory)
    throw error
  }
}
