/** The files of the page: its HTML, its own modules, and those of the client. */
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

/** A file to answer with. */
export interface PageFile {
  readonly contentType: string
  readonly content: Buffer
}

const root = join(import.meta.dirname, '..')
const client = dirname(createRequire(import.meta.url).resolve('@millrace/client/package.json'))

const MODULE_FOLDERS: ReadonlyMap<string, string> = new Map([
  ['page', join(root, 'dist', 'page')],
  ['client', join(client, 'dist')],
])
const MODULE_PATH = /^\/(page|client)\/([a-z0-9-]+\.js)$/

/** The file at a URL path; `undefined` if there is none. */
export async function pageFile(path: string): Promise<PageFile | undefined> {
  if (path === '/') return read(join(root, 'page', 'index.html'), 'text/html; charset=utf-8')
  const [, folderName = '', name = ''] = MODULE_PATH.exec(path) ?? []
  const folder = MODULE_FOLDERS.get(folderName)
  return folder === undefined ? undefined : read(join(folder, name), 'text/javascript; charset=utf-8')
}

async function read(path: string, contentType: string): Promise<PageFile | undefined> {
  try {
    return { contentType, content: await readFile(path) }
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}
