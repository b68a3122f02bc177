/** The manifest of a backup: what is in it, and how to tell that all of it is there and unchanged. */
import { createHash } from 'node:crypto'

/** Format of backups that this version writes, and the newest that it reads. */
export const BACKUP_FORMAT = 1
/** The manifest's name in a backup. A folder without it holds no backup, or one that is not complete. */
export const MANIFEST = 'manifest.json'
/** The list of streams, which belongs to the backup, not to the data directory. */
export const STREAMS_FILE = 'streams.ndjson'

/** One file of a backup. */
export interface BackupFile {
  /** Its name in a data directory, or `streams.ndjson`. */
  readonly name: string
  /** Its name in the backup. It may be longer than `bytes` there: only these belong to the backup. */
  readonly stored: string
  readonly bytes: number
  readonly sha256: string
}

/** What a backup holds. */
export interface Manifest {
  readonly kind: 'millrace backup'
  readonly format: number
  readonly createdAt: string
  readonly millraceVersion: string
  readonly storeId: string
  /** Sequence of the last journal record in it. */
  readonly journalSequence: number
  readonly streams: { readonly count: number; readonly bytes: number }
  readonly files: readonly BackupFile[]
}

/** The manifest is not one, is damaged, or is of a newer format; the message says which and what to do. */
export class ManifestUnusable extends Error {
  override readonly name = 'ManifestUnusable'
}

/** Names that a backup may have files for; what is restored goes nowhere else. */
const NAME = /^(?:blocks\/[0-9]{10}\.blk|home\/data\.mdb|streams\.ndjson)$/
/** Names that a backup's files have in it. */
const STORED = /^(?:blocks\/[0-9]{10}(?:\.[0-9]+)?\.blk|home(?:\.[0-9]+)?\.mdb|streams(?:\.[0-9]+)?\.ndjson)$/

/** Whether a name is one that a file of a backup may have there. */
export function isStoredName(name: string): boolean {
  return STORED.test(name)
}

/** Writes a manifest; its last member is the SHA-256 of the others. */
export function formatManifest(manifest: Manifest): string {
  return `${JSON.stringify({ ...manifest, manifestSha256: checksumOf(manifest) }, undefined, 2)}\n`
}

/** Reads a manifest. Throws `ManifestUnusable`. */
export function parseManifest(text: string, where: string): Manifest {
  const parsed = parseObject(text)
  if (parsed === undefined || parsed.kind !== 'millrace backup' || typeof parsed.format !== 'number') {
    throw new ManifestUnusable(`${where} is damaged, or not the manifest of a Millrace backup.`)
  }
  if (parsed.format > BACKUP_FORMAT) {
    throw new ManifestUnusable(
      `${where} has format ${parsed.format}; this version reads up to ${BACKUP_FORMAT}. Use the version of Millrace that wrote it, or a newer one.`,
    )
  }
  const { manifestSha256, ...manifest } = parsed
  if (manifestSha256 !== checksumOf(manifest)) {
    throw new ManifestUnusable(`${where} is damaged: its checksum does not match.`)
  }
  // The checksum has vouched for the shape: this is what `formatManifest` made. Names lead into the file system.
  const trusted = manifest as unknown as Manifest
  const stray = trusted.files.find(({ name, stored }) => !NAME.test(name) || !STORED.test(stored))
  if (stray !== undefined) throw new ManifestUnusable(`${where} names a file that no backup has.`)
  return trusted
}

function checksumOf(manifest: object): string {
  return createHash('sha256').update(JSON.stringify(manifest)).digest('hex')
}

function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const parsed: unknown = JSON.parse(text)
    return typeof parsed === 'object' && parsed !== null ? { ...parsed } : undefined
  } catch {
    // What cannot be parsed is not a manifest; the caller says so.
    return undefined
  }
}
