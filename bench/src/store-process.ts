/** The parent's side of the store server. */
import type { LoopReport } from './loop-probe.ts'
import { ServerProcess, scriptPath } from './server-process.ts'
import type { LimitOverrides, StoreAnswer, StoreQuestion } from './store-server.ts'

export type StoreMode = 'memory' | 'file-fast' | 'file-durable'

/** Starts a server on `data` below a directory, with limits of its own. */
export function startStore(
  directory: string,
  mode: StoreMode,
  limits: LimitOverrides,
  nodeOptions: readonly string[] = [],
): Promise<ServerProcess> {
  const args = [...nodeOptions, scriptPath('./store-server.js'), mode, './data', JSON.stringify(limits)]
  return ServerProcess.start({ name: mode, args, directory, hasChannel: true })
}

function ask({ child }: ServerProcess, question: StoreQuestion): Promise<StoreAnswer> {
  return new Promise((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`the server ended with ${code}`)))
    child.once('message', (answer) => resolve(answer as StoreAnswer))
    child.send(question)
  })
}

/** From now on the server watches its event loop. */
export async function watchLoop(server: ServerProcess): Promise<void> {
  await ask(server, 'watch')
}

/** What it has seen since. */
export async function finishWatch(server: ServerProcess): Promise<LoopReport> {
  const { report } = await ask(server, 'stalls')
  if (report === undefined) throw new Error('the server saw nothing')
  return report
}
