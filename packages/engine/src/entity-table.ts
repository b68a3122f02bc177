/**
 * The entities in use. An entry is made in the turn that first asks for it, before anything is awaited, so two
 * commands on one path always meet in the same entry; it is dropped only when nothing uses it any more. That a
 * path has no stream is never remembered beyond the commands that saw it.
 */
import type { StreamPath } from '@millrace/protocol'
import { Entity } from './entity.ts'
import type { StreamStorage } from './storage.ts'

/** Loads, keeps and drops entities. */
export class EntityTable {
  readonly #storage: StreamStorage
  readonly #maxIdle: number
  readonly #entities = new Map<StreamPath, Entity>()
  /** Loaded entities that nobody uses, least recently used first. */
  readonly #idle = new Set<Entity>()

  constructor(storage: StreamStorage, maxIdle: number) {
    this.#storage = storage
    this.#maxIdle = maxIdle
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
    for (const oldest of this.#idle) {
      this.#idle.delete(oldest)
      this.#entities.delete(oldest.path)
      break
    }
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
      entity.install(stored[0])
      return undefined
    }
    entity.loading = stored
      .then((states) => entity.install(states[0]))
      .finally(() => {
        entity.loading = undefined
      })
    return entity.loading
  }
}
