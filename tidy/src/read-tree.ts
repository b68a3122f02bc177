/** Reads the texts of a repository from disk, without what is installed, built or left by a run. */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { SourceFile } from './source-file.ts'

const SKIPPED_FOLDERS: ReadonlySet<string> = new Set(['node_modules', 'dist', 'coverage', 'test-results'])
/** Other folders that begin with a dot belong to the tools of one machine. */
const DOT_FOLDERS: ReadonlySet<string> = new Set(['.ci', '.github'])
const SKIPPED_FILES: ReadonlySet<string> = new Set(['package-lock.json'])
const MAX_SIZE_BYTES = 1024 * 1024

/** Files that are larger than 1 MiB or not text are left out. Throws when a file can't be read. */
export function readTree(root: string): readonly SourceFile[] {
  return readFolder(root, '')
}

function readFolder(root: string, folder: string): readonly SourceFile[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`
    if (entry.isDirectory()) return isSkipped(path, entry.name) ? [] : readFolder(root, path)
    return entry.isFile() && !SKIPPED_FILES.has(entry.name) ? readText(root, path) : []
  })
}

function isSkipped(path: string, name: string): boolean {
  if (name.startsWith('.')) return !DOT_FOLDERS.has(name)
  // The data folder of a server that was started at the root.
  return SKIPPED_FOLDERS.has(name) || path === 'data'
}

function readText(root: string, path: string): readonly SourceFile[] {
  const place = join(root, path)
  if (statSync(place).size > MAX_SIZE_BYTES) return []
  const text = readFileSync(place, 'utf8')
  return text.includes('\0') ? [] : [{ path, text }]
}
