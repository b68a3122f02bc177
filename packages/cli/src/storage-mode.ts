/** Storage modes by name: what each promises, and how it is opened. */
import { type LoadedConfig, memoryStorage, type StreamStorage } from '@millrace/server'
import { type Durability, type FileStore, fileStorage, type RecoveryReport } from '@millrace/storage-file'

/** A mode that can be opened. */
export interface OpenMode {
  readonly name: string
  /** What the mode promises, as a phrase for the person who starts the server. */
  readonly promise: string
  readonly usesDataDir: boolean
  open(options: OpenOptions): Promise<StreamStorage | FileStore>
}

/** What a mode is opened with. */
export interface OpenOptions extends StorageHooks {
  readonly dataDir: string
  /** Bytes of all streams in memory mode; in file modes bytes not yet in blocks. */
  readonly maxMemoryBytes: number | undefined
}

/** What a store tells the person who runs it. */
export interface StorageHooks {
  onRecovered(report: RecoveryReport): void
  onPoisoned(error: unknown): void
}

/** What the configuration says about opening a store. */
export function openOptionsOf(config: LoadedConfig): Omit<OpenOptions, keyof StorageHooks> {
  const maxMemoryBytes = config.get('limits.max_memory_bytes')
  return {
    dataDir: String(config.get('storage.data_dir')),
    maxMemoryBytes: maxMemoryBytes === undefined ? undefined : Number(maxMemoryBytes),
  }
}

/** Modes a user may ask for. */
export const STORAGE_MODES: readonly string[] = ['memory', 'file-fast', 'file-durable', 'acid']

const MEMORY: OpenMode = {
  name: 'memory',
  promise: 'in memory only: everything is lost when this process ends',
  usesDataDir: false,
  open: ({ maxMemoryBytes }) =>
    Promise.resolve(memoryStorage(maxMemoryBytes === undefined ? {} : { maxBytes: maxMemoryBytes })),
}

function fileMode(durability: Durability, promise: string): OpenMode {
  const open: OpenMode['open'] = ({ maxMemoryBytes, ...options }) => {
    const limits = maxMemoryBytes === undefined ? {} : { maxTailBytes: maxMemoryBytes }
    return fileStorage({ durability, limits, ...options })
  }
  return { name: durability, promise, usesDataDir: true, open }
}

const DURABLE = fileMode('file-durable', 'what was answered survives a crash and a power cut')
const FAST = fileMode('file-fast', 'what was answered survives a crash; a power cut may take the last second')

const MODES: ReadonlyMap<string, OpenMode> = new Map([
  ['memory', MEMORY],
  ['file-durable', DURABLE],
  ['file', DURABLE],
  ['durable', DURABLE],
  ['acid', DURABLE],
  ['redb', DURABLE],
  ['file-fast', FAST],
  ['fast', FAST],
])

/** The mode of a name or an alias, whatever its case; `undefined` if there is none. */
export function findMode(name: string): OpenMode | undefined {
  return MODES.get(name.toLowerCase())
}
