/** Damage to data directories, at places drawn from a seed, and what can be read of them afterwards. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type DirectoryServer, serveDirectory } from './used-directory.fixture.ts'

/** Numbers from 0 up to but not including 1, the same for the same seed. */
export function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

/** Flips one bit of a file between two bytes of it; says which, for the message of a test that fails. */
export function flipBit(
  dataDir: string,
  file: string,
  random: () => number,
  from = 0,
  to: number = Number.POSITIVE_INFINITY,
): string {
  const path = join(dataDir, file)
  const bytes = readFileSync(path)
  const at = from + Math.floor(random() * (Math.min(to, bytes.length) - from))
  const bit = Math.floor(random() * 8)
  bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << bit), at)
  writeFileSync(path, bytes)
  return `bit ${bit} of byte ${at} in ${file}`
}

/** Files of a folder of a data directory, in order. */
export function filesIn(dataDir: string, folder: string): readonly string[] {
  return readdirSync(join(dataDir, folder))
    .sort()
    .map((name) => `${folder}/${name}`)
}

/** What a stream gives: its bytes from the start to the tail, or the status that was answered instead. */
export type StreamContent = string | number

/** Everything that streams give. Rejects if the server does not start on the directory. */
export async function readEverything(
  dataDir: string,
  paths: readonly string[],
): Promise<ReadonlyMap<string, StreamContent>> {
  const server = await serveDirectory(dataDir)
  const contents = new Map<string, StreamContent>()
  try {
    for (const path of paths) contents.set(path, await readStream(server, path))
  } finally {
    // Damage may keep the last checkpoint from being written; what is read was read before it.
    await server.close().catch(() => undefined)
  }
  return contents
}

async function readStream({ send }: DirectoryServer, path: string): Promise<StreamContent> {
  const pieces: string[] = []
  for (let offset = '-1'; ; ) {
    const answer = await send('GET', `${path}?offset=${offset}`)
    const text = await answer.text()
    if (answer.status !== 200) return answer.status
    pieces.push(text)
    offset = answer.headers.get('stream-next-offset') ?? ''
    if (answer.headers.get('stream-up-to-date') === 'true') return pieces.join('')
  }
}
