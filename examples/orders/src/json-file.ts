/** A value in a file, replaced as a whole: after a crash the file holds the old value or the new one. */
import { open, readFile, rename } from 'node:fs/promises'

/** Resolves once the value would survive a crash of the process or the machine. */
export async function saveJson(path: string, value: unknown): Promise<void> {
  const fresh = `${path}.new`
  const file = await open(fresh, 'w')
  try {
    await file.writeFile(JSON.stringify(value))
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(fresh, path)
}

/** What `saveJson` last put there; `undefined` if nothing was saved yet. The caller knows what it saved. */
export async function loadJson<T>(path: string): Promise<T | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8'))
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}
