/** An open file of a faulty disk: for simulations, as the disk is. */
import { type DiskFile, DiskFull } from './disk.ts'
import { assertFileSize } from './disk-name.ts'
import type { Random, SimulatedFile } from './simulated-file.ts'

/** What an open file can be asked for. */
export type FileOperationKind = 'write' | 'read' | 'sync' | 'truncate' | 'size' | 'close'

/** One call of an open file. */
export interface FileOperation {
  readonly kind: FileOperationKind
  /** The name by which it was opened. */
  readonly name: string
  /** For a write or a read. */
  readonly position?: number
  /** Bytes of a write or a read; the new length for a truncation. */
  readonly length?: number
}

/** What a file needs of its disk. */
export interface FaultyFileContext {
  /** Announces an operation before it takes effect; false if it is to fail. Rejects once the disk is gone. */
  readonly step: (operation: FileOperation) => Promise<boolean>
  readonly random: Random
  /** Bytes that may still be added to the files of the disk. */
  readonly room: () => number
  readonly closed: (file: DiskFile) => void
  /** A write has begun; to be called back when it has ended. */
  readonly writing: (write: WriteUnderWay) => () => void
}

/** A write that may be found in part after a crash. */
export interface WriteUnderWay {
  readonly file: SimulatedFile
  readonly position: number
  readonly pieces: readonly Uint8Array[]
}

/** An operation failed because the simulation said so. */
export class InjectedFailure extends Error {
  override readonly name = 'InjectedFailure'
  readonly code = 'EIO'

  constructor(kind: string, name: string) {
    super(`${kind} of ${name === '' ? 'the data directory' : name} failed`)
  }
}

/** Reads and writes one file of a faulty disk. */
export class FaultyFile implements DiskFile {
  readonly #name: string
  readonly #file: SimulatedFile
  readonly #context: FaultyFileContext
  #isClosed = false

  constructor(name: string, file: SimulatedFile, context: FaultyFileContext) {
    this.#name = name
    this.#file = file
    this.#context = context
  }

  async write(position: number, pieces: readonly Uint8Array[]): Promise<void> {
    assertFileSize(position)
    const length = pieces.reduce((size, piece) => size + piece.length, 0)
    const ended = this.#context.writing({ file: this.#file, position, pieces })
    const isFine = await this.#step({ kind: 'write', name: this.#name, position, length }).finally(ended)
    // Taken only now: who changes bytes that are being written finds the change on the disk.
    const bytes = Buffer.concat(pieces)
    if (!isFine) {
      this.#file.write(position, bytes.subarray(0, Math.floor(this.#context.random() * (bytes.length + 1))))
      throw new InjectedFailure('write', this.#name)
    }
    const end = Math.max(this.#file.length, this.#file.length + this.#context.room())
    const fitting = Math.max(0, Math.min(bytes.length, end - position))
    this.#file.write(position, bytes.subarray(0, fitting))
    if (fitting < bytes.length) throw new DiskFull(`no room for ${bytes.length} bytes in ${this.#name}`)
  }

  async read(position: number, length: number): Promise<Uint8Array> {
    assertFileSize(position)
    assertFileSize(length)
    await this.#enter({ kind: 'read', name: this.#name, position, length })
    return this.#file.read(position, length)
  }

  async sync(): Promise<void> {
    const isFine = await this.#step({ kind: 'sync', name: this.#name })
    if (isFine) {
      this.#file.sync()
      return
    }
    this.#file.failSync(this.#context.random)
    throw new InjectedFailure('sync', this.#name)
  }

  async truncate(length: number): Promise<void> {
    assertFileSize(length)
    await this.#enter({ kind: 'truncate', name: this.#name, length })
    if (length - this.#file.length > Math.max(0, this.#context.room())) {
      throw new DiskFull(`no room for ${length} bytes in ${this.#name}`)
    }
    this.#file.truncate(length)
  }

  async size(): Promise<number> {
    await this.#enter({ kind: 'size', name: this.#name })
    return this.#file.length
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    await this.#enter({ kind: 'close', name: this.#name })
    this.#isClosed = true
    this.#context.closed(this)
  }

  async #step(operation: FileOperation): Promise<boolean> {
    if (this.#isClosed) throw new Error(`${this.#name} is closed`)
    return this.#context.step(operation)
  }

  async #enter(operation: FileOperation): Promise<void> {
    if (!(await this.#step(operation))) throw new InjectedFailure(operation.kind, this.#name)
  }
}
