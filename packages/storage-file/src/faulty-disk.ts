/**
 * A disk in memory that crashes, fails, tears, forgets and fills up as a seed says: delivered for simulations of the
 * store, and its tests; not for servers. Everything it does follows from its options and the order of the calls.
 */
import { type Disk, type DiskFile, type DiskLock, DiskLocked } from './disk.ts'
import { assertDiskFolder, assertDiskName, splitDiskName } from './disk-name.ts'
import { FaultyFile, type FileOperationKind, InjectedFailure, type WriteUnderWay } from './faulty-file.ts'
import { type Random, SimulatedFile } from './simulated-file.ts'
import { type EntrySurvival, SimulatedFolder } from './simulated-folder.ts'

export { InjectedFailure } from './faulty-file.ts'

/** What a disk can be asked for. `unlock` is the release of the lock. */
export type DiskOperationKind =
  | FileOperationKind
  | 'create'
  | 'open'
  | 'exists'
  | 'list'
  | 'makeFolder'
  | 'rename'
  | 'remove'
  | 'syncFolder'
  | 'lock'
  | 'unlock'

/** One call. */
export interface DiskOperation {
  readonly kind: DiskOperationKind
  /** The file or folder, under the name by which it was opened; for a rename, the old one. */
  readonly name: string
  /** For a rename, the new name. */
  readonly to?: string
  /** For a write or a read. */
  readonly position?: number
  /** Bytes of a write or a read; the new length for a truncation. */
  readonly length?: number
  /** Calls of this disk and of those it came from by crashes, counted from 1. */
  readonly step: number
}

/** What decides over a disk. */
export interface FaultyDiskOptions {
  /** Every choice of the disk; nothing else is random. */
  readonly random: Random
  /** Called before each operation takes effect, which it delays until it has resolved. It may call `crash`. */
  readonly onStep?: (operation: DiskOperation) => void | Promise<void>
  /** Bytes of all files together, beyond which it is full. Unbounded unless given; `resize` changes it. */
  readonly capacityBytes?: number
  /** Which changes of a folder that is not synced a power cut keeps. `any` unless given. */
  readonly entrySurvival?: EntrySurvival
}

/** How a disk is used at a moment. */
export interface DiskStatistics {
  readonly openFiles: number
  readonly files: number
  readonly bytes: number
  readonly steps: number
}

/** The disk was left by a crash: whatever held it is no more. */
export class DiskGone extends Error {
  override readonly name = 'DiskGone'
}

type Folder = SimulatedFolder<SimulatedFile>
type Fault = (operation: DiskOperation) => boolean

interface Media {
  /** The folders of the data directory. */
  readonly folders: SimulatedFolder<Folder>
  /** The files of the data directory itself. */
  readonly top: Folder
}

/**
 * A disk that survives what it says it survives and no more. Errors: as `nodeDisk`, `InjectedFailure` where `fail`
 * says so, and `DiskGone` for every call after `crash`, including those under way. Files cannot be renamed from one
 * folder to another.
 */
export class FaultyDisk implements Disk {
  readonly #options: FaultyDiskOptions
  #media: Media = { folders: new SimulatedFolder(), top: new SimulatedFolder() }
  #capacityBytes: number
  #steps = 0
  readonly #open = new Map<object, SimulatedFile>()
  readonly #faults = new Set<Fault>()
  readonly #writing = new Set<WriteUnderWay>()
  #isLocked = false
  #powerCuts = 0
  #isGone = false

  constructor(options: FaultyDiskOptions) {
    this.#options = options
    this.#capacityBytes = options.capacityBytes ?? Number.POSITIVE_INFINITY
  }

  async create(name: string): Promise<DiskFile> {
    assertDiskName(name)
    await this.#enter({ kind: 'create', name })
    const [folder, plain] = this.#place(name)
    if (folder.entries.has(plain)) throw new Error(`${name} exists`)
    const file = new SimulatedFile()
    folder.name(plain, file)
    return this.#openFile(name, file)
  }

  async open(name: string): Promise<DiskFile> {
    assertDiskName(name)
    await this.#enter({ kind: 'open', name })
    return this.#openFile(name, this.#file(name))
  }

  /** One a power cut, none for the end of a process. */
  async bootId(): Promise<string> {
    return `boot-${this.#powerCuts}`
  }

  async exists(name: string): Promise<boolean> {
    assertDiskName(name)
    await this.#enter({ kind: 'exists', name })
    return this.#find(name) !== undefined || this.#media.folders.entries.has(name)
  }

  async list(folder: string): Promise<readonly string[]> {
    assertDiskFolder(folder)
    await this.#enter({ kind: 'list', name: folder })
    if (folder === '') return [...this.#media.folders.entries.keys(), ...this.#media.top.entries.keys()]
    return [...(this.#media.folders.entries.get(folder)?.entries.keys() ?? [])]
  }

  async makeFolder(folder: string): Promise<void> {
    assertDiskFolder(folder)
    await this.#enter({ kind: 'makeFolder', name: folder })
    if (this.#media.top.entries.has(folder)) throw new Error(`${folder} is not a folder`)
    if (folder === '' || this.#media.folders.entries.has(folder)) return
    this.#media.folders.name(folder, new SimulatedFolder())
  }

  async rename(from: string, to: string): Promise<void> {
    assertDiskName(from)
    assertDiskName(to)
    await this.#enter({ kind: 'rename', name: from, to })
    const file = this.#file(from)
    const [folder, plain] = this.#place(to)
    if (folder !== this.#place(from)[0]) throw new Error(`${from} cannot be renamed into another folder`)
    if (from !== to) folder.name(plain, file)
  }

  async remove(name: string): Promise<void> {
    assertDiskName(name)
    await this.#enter({ kind: 'remove', name })
    if (this.#find(name) === undefined) return
    const [folder, plain] = this.#place(name)
    folder.remove(plain)
  }

  async syncFolder(folder: string): Promise<void> {
    assertDiskFolder(folder)
    const isFine = await this.#step({ kind: 'syncFolder', name: folder })
    for (const one of folder === '' ? [this.#media.folders, this.#media.top] : [this.#folder(folder)]) {
      if (isFine) one.sync()
      else one.failSync(this.#options.random, this.#entrySurvival)
    }
    if (!isFine) throw new InjectedFailure('syncFolder', folder)
  }

  async lock(): Promise<DiskLock> {
    await this.#enter({ kind: 'lock', name: 'LOCK' })
    if (this.#isLocked) throw new DiskLocked('the simulated disk is in use')
    this.#isLocked = true
    return {
      release: async () => {
        await this.#enter({ kind: 'unlock', name: 'LOCK' })
        this.#isLocked = false
      },
    }
  }

  /**
   * Ends this disk and gives the one that is found afterwards, unlocked, with the same options and no failures.
   *
   * `power`: bytes that were synced are there; each write or truncation since is kept, dropped or torn, at a byte or
   * by sectors of 512 bytes, whatever happened to the others; so are changes of folders (see `entrySurvival`).
   * `process`: everything that was done is there, and is still as unsynced as it was.
   *
   * Of a write that was under way there may be a first part, as if it had been done.
   */
  crash(kind: 'power' | 'process' = 'power'): FaultyDisk {
    this.#isGone = true
    this.#tearWrites()
    const { random } = this.#options
    const survival = this.#entrySurvival
    const file = (one: SimulatedFile): SimulatedFile =>
      kind === 'power' ? one.afterPowerCut(random) : one.afterProcessEnd()
    const folder = (one: Folder): Folder =>
      kind === 'power' ? one.afterPowerCut(random, survival, file) : one.afterProcessEnd(file)
    const { folders } = this.#media
    const next = this.#successor({
      folders:
        kind === 'power' ? folders.afterPowerCut(random, survival, folder) : folders.afterProcessEnd(folder),
      top: folder(this.#media.top),
    })
    if (kind === 'power') next.#powerCuts++
    return next
  }

  /**
   * Makes operations reject with `InjectedFailure`, until the function that it returns is called. A failed write may
   * have written a part. A failed sync, of a file or folder, has forgotten what it could not write: the program still
   * reads it, the next sync succeeds, and a power cut may lose it all the same. Others change nothing.
   */
  fail(matches: (operation: DiskOperation) => boolean): () => void {
    // One entry for each call, even if two calls are given the same function.
    const fault: Fault = (operation) => matches(operation)
    this.#faults.add(fault)
    return () => void this.#faults.delete(fault)
  }

  /** Changes the capacity. Files that are there stay. */
  resize(capacityBytes: number): void {
    this.#capacityBytes = capacityBytes
  }

  /** Flips a bit of a file, 0 to 7 of the byte at a position, on the medium and for every reader. */
  flipBit(name: string, position: number, bit: number): void {
    const file = this.#file(name)
    if (position >= file.length) throw new RangeError(`${name} has no byte ${position}`)
    file.flipBit(position, bit)
  }

  statistics(): DiskStatistics {
    const files = this.#allFiles()
    return {
      openFiles: this.#open.size,
      files: files.length,
      bytes: this.#usedBytes(),
      steps: this.#steps,
    }
  }

  get #entrySurvival(): EntrySurvival {
    return this.#options.entrySurvival ?? 'any'
  }

  #successor(media: Media): FaultyDisk {
    const disk = new FaultyDisk(this.#options)
    disk.#media = media
    disk.#capacityBytes = this.#capacityBytes
    disk.#steps = this.#steps
    disk.#powerCuts = this.#powerCuts
    return disk
  }

  #openFile(name: string, file: SimulatedFile): DiskFile {
    const handle = new FaultyFile(name, file, {
      step: (operation) => this.#step(operation),
      random: this.#options.random,
      room: () => this.#capacityBytes - this.#usedBytes(),
      closed: (closed) => void this.#open.delete(closed),
      writing: (write) => {
        this.#writing.add(write)
        return () => void this.#writing.delete(write)
      },
    })
    this.#open.set(handle, file)
    return handle
  }

  #tearWrites(): void {
    const { random } = this.#options
    for (const { file, position, pieces } of this.#writing) {
      if (random() < 0.5) continue
      const bytes = Buffer.concat(pieces)
      const room = Math.max(0, file.length + this.#capacityBytes - this.#usedBytes() - position)
      file.write(position, bytes.subarray(0, Math.min(room, Math.floor(random() * (bytes.length + 1)))))
    }
    this.#writing.clear()
  }

  /** Announces an operation; false if it is to fail. */
  async #step(call: Omit<DiskOperation, 'step'>): Promise<boolean> {
    this.#refuseIfGone()
    const operation = { ...call, step: ++this.#steps }
    await this.#options.onStep?.(operation)
    this.#refuseIfGone()
    return ![...this.#faults].some((matches) => matches(operation))
  }

  /** Announces an operation that changes nothing if it fails. */
  async #enter(call: Omit<DiskOperation, 'step'>): Promise<void> {
    if (!(await this.#step(call))) throw new InjectedFailure(call.kind, call.name)
  }

  #refuseIfGone(): void {
    if (this.#isGone) throw new DiskGone('the disk was left by a crash')
  }

  #find(name: string): SimulatedFile | undefined {
    const [folder, plain] = splitDiskName(name)
    const { top, folders } = this.#media
    return (folder === '' ? top : folders.entries.get(folder))?.entries.get(plain)
  }

  #file(name: string): SimulatedFile {
    const file = this.#find(name)
    if (file === undefined) throw new Error(`there is no ${name}`)
    return file
  }

  #place(name: string): readonly [Folder, plain: string] {
    const [folder, plain] = splitDiskName(name)
    return [this.#folder(folder), plain]
  }

  #folder(name: string): Folder {
    const folder = name === '' ? this.#media.top : this.#media.folders.entries.get(name)
    if (folder === undefined) throw new Error(`there is no folder ${name}`)
    return folder
  }

  #allFiles(): readonly SimulatedFile[] {
    const { top, folders } = this.#media
    return [top, ...folders.entries.values()].flatMap(({ entries }) => [...entries.values()])
  }

  /** A removed file takes room until nobody has it open. */
  #usedBytes(): number {
    const files = new Set([...this.#allFiles(), ...this.#open.values()])
    return [...files].reduce((bytes, { length }) => bytes + length, 0)
  }
}
