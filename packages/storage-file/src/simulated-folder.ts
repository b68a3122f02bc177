/**
 * The entries of a folder as a disk has them: what a program finds, what is certainly on the medium, and the changes
 * between the two. For simulations; it does not know what an entry is.
 */
import type { Random } from './simulated-file.ts'

/** `any`: each change that is not synced survives or not, whatever the others do. `in-order`: the first ones do. */
export type EntrySurvival = 'any' | 'in-order'

/** An entry that has a name from now on, and only this one, or that has it no more. A rename is one change. */
interface EntryChange<Entry> {
  readonly kind: 'named' | 'removed'
  readonly name: string
  readonly entry: Entry
}

/** Entries by name. */
export class SimulatedFolder<Entry> {
  readonly #seen: Map<string, Entry>
  #durable: Map<string, Entry>
  #unsynced: readonly EntryChange<Entry>[]

  constructor(
    seen: ReadonlyMap<string, Entry> = new Map(),
    durable: ReadonlyMap<string, Entry> = seen,
    unsynced: readonly EntryChange<Entry>[] = [],
  ) {
    this.#seen = new Map(seen)
    this.#durable = new Map(durable)
    this.#unsynced = unsynced
  }

  get entries(): ReadonlyMap<string, Entry> {
    return this.#seen
  }

  /** Gives an entry its name, its first or a new one; replaces what has that name. */
  name(name: string, entry: Entry): void {
    this.#change({ kind: 'named', name, entry })
  }

  remove(name: string): void {
    const entry = this.#seen.get(name)
    if (entry !== undefined) this.#change({ kind: 'removed', name, entry })
  }

  /** From now on a power cut changes none of the entries that were made so far. */
  sync(): void {
    for (const change of this.#unsynced) apply(this.#durable, change)
    this.#unsynced = []
  }

  /** A sync that fails: what it could not write is forgotten, so that the next one succeeds without it. */
  failSync(random: Random, survival: EntrySurvival): void {
    this.#durable = this.#surviving(random, survival)
    this.#unsynced = []
  }

  /** What the medium has after a power cut, with each entry as `convert` finds it. */
  afterPowerCut(
    random: Random,
    survival: EntrySurvival,
    convert: (entry: Entry) => Entry,
  ): SimulatedFolder<Entry> {
    const found = [...this.#surviving(random, survival)]
    return new SimulatedFolder(new Map(found.map(([name, entry]) => [name, convert(entry)])))
  }

  /** The same folder, with the same changes still unsynced, and each entry as `convert` finds it. */
  afterProcessEnd(convert: (entry: Entry) => Entry): SimulatedFolder<Entry> {
    const converted = new Map<Entry, Entry>()
    const once = (entry: Entry): Entry => {
      const known = converted.get(entry) ?? convert(entry)
      converted.set(entry, known)
      return known
    }
    const all = (entries: ReadonlyMap<string, Entry>): ReadonlyMap<string, Entry> =>
      new Map([...entries].map(([name, entry]) => [name, once(entry)]))
    const unsynced = this.#unsynced.map((change) => ({ ...change, entry: once(change.entry) }))
    return new SimulatedFolder(all(this.#seen), all(this.#durable), unsynced)
  }

  #change(change: EntryChange<Entry>): void {
    this.#unsynced = [...this.#unsynced, change]
    apply(this.#seen, change)
  }

  #surviving(random: Random, survival: EntrySurvival): Map<string, Entry> {
    const found = new Map(this.#durable)
    const count = Math.floor(random() * (this.#unsynced.length + 1))
    for (const [order, change] of this.#unsynced.entries()) {
      const survives = survival === 'any' ? random() < 0.5 : order < count
      if (survives) apply(found, change)
    }
    return found
  }
}

function apply<Entry>(entries: Map<string, Entry>, { kind, name, entry }: EntryChange<Entry>): void {
  if (kind === 'removed') {
    // Where the change that gave it this name is lost, something else has it, which nobody removed.
    if (entries.get(name) === entry) entries.delete(name)
    return
  }
  for (const [other, known] of entries) if (known === entry) entries.delete(other)
  entries.set(name, entry)
}
