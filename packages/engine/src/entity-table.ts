/**
 * The entities in use. An entry is made in the turn that first asks for it, before anything is awaited, so two
 * commands on one path always meet in the same entry; it is dropped only when nothing uses it any more. That a
 * path has no stream is never remembered beyond the commands that saw it.
 */
import type { StreamPath } from '@millrace/protocol'
import { Entity } from './entity.ts'
import type { StreamStorage, VersionedState } from './storage.ts'

/** Loads, keeps and drops entities. */
export class EntityTable {
  readonly #storage: StreamStorage
  readonly #maxIdle: number
  readonly #onLoaded: (entity: Entity) => void
  readonly #entities = new Map<StreamPath, Entity>()
  /** Loaded entities that nobody uses, least recently used first. */
  readonly #idle = new Set<Entity>()
  /** Where the search for the oldest left off: a new one would pass over the places of all that have gone. */
  #oldest: Iterator<Entity>

  /** `onLoaded` hears of states that were loaded while somebody may be waiting for them. */
  constructor(storage: StreamStorage, maxIdle: number, onLoaded: (entity: Entity) => void = () => undefined) {
    this.#storage = storage
    this.#maxIdle = maxIdle
    this.#onLoaded = onLoaded
    this.#oldest = this.#idle.values()
  }

  /** Entities in memory, for statistics. */
  get size(): number {
    return this.#entities.size
  }

  /** The entry of a path, held until `unpin`. */
  pin(path: StreamPath): Entity {
    let entity = this.#entities.get(path)
    if (entity === undefined) {
      entity = new Entity(path)
      this.#entities.set(path, entity)
    } else if (entity.pins === 0) {
      this.#idle.delete(entity)
    }
    entity.pins++
    return entity
  }

  /** Lets an entry go. */
  unpin(entity: Entity): void {
    entity.pins--
    if (entity.pins > 0) return
    const isWorthKeeping = entity.loaded && entity.durable !== undefined
    if (!isWorthKeeping || this.#maxIdle === 0) {
      this.#entities.delete(entity.path)
      return
    }
    this.#idle.add(entity)
    if (this.#idle.size <= this.#maxIdle) return
    this.#dropOldest()
  }

  /** What the search has passed was dropped, or used since and then added again at the end. */
  #dropOldest(): void {
    let found = this.#oldest.next()
    if (found.done) {
      this.#oldest = this.#idle.values()
      found = this.#oldest.next()
    }
    if (found.done) return
    this.#idle.delete(found.value)
    this.#entities.delete(found.value.path)
  }

  /** Sees to it that the entities are loaded; `undefined` if they are already. Waiters go on in their order. */
  load(entities: readonly Entity[]): Promise<void> | undefined {
    let waits: Promise<void>[] | undefined
    for (const entity of entities) {
      if (entity.loaded) continue
      const loading = entity.loading ?? this.#loadOne(entity)
      if (loading !== undefined) {
        waits ??= []
        waits.push(loading)
      }
    }
    if (waits === undefined) return undefined
    return waits.length === 1 ? waits[0] : Promise.all(waits).then(() => undefined)
  }

  #loadOne(entity: Entity): Promise<void> | undefined {
    const stored = this.#storage.load([entity.path])
    if (!(stored instanceof Promise)) {
      this.#install(entity, stored[0])
      return undefined
    }
    entity.loading = stored
      .then((states) => this.#install(entity, states[0]))
      .finally(() => {
        entity.loading = undefined
      })
    return entity.loading
  }

  #install(entity: Entity, stored: VersionedState | undefined): void {
    entity.install(stored)
    this.#onLoaded(entity)
  }
}
