/** DELETE and expiry: soft deletion while forks read on, otherwise purge and release up the chain (section 8). */
import type { RemoveCommand } from './command.ts'
import { type Change, type Decision, reject, type View } from './decision.ts'
import { isExpired, livenessOf, missing } from './liveness.ts'
import type { StreamState } from './stream-state.ts'

/** Judges a removal. The view must hold the stream and, for a fork, all its ancestors. */
export function decideRemove(view: View, command: RemoveCommand, nowMs: number): Decision {
  const state = view.stream(command.path)
  if (command.because === 'expired') {
    if (state === undefined || state.softDeleted || !isExpired(state, nowMs))
      return reject({ kind: 'not-found' })
    return remove(view, state)
  }
  const liveness = livenessOf(state, nowMs)
  return liveness.kind === 'live' ? remove(view, liveness.state) : reject(missing(liveness))
}

function remove(view: View, state: StreamState): Decision {
  const changes: readonly Change[] =
    state.refCount > 0
      ? [{ path: state.path, events: [{ kind: 'soft-deleted' }], payload: undefined }]
      : purgeWithAncestors(view, state)
  return { kind: 'accept', changes, outcome: { kind: 'deleted' } }
}

/** A purged fork gives its reference back; a soft-deleted source that loses its last one follows. */
function purgeWithAncestors(view: View, state: StreamState): readonly Change[] {
  const changes: Change[] = [purge(state)]
  let released = state
  while (released.fork !== undefined) {
    const source = view.stream(released.fork.sourcePath)
    if (source === undefined || source.id !== released.fork.sourceId) {
      throw new Error(`the source of ${released.path} is not in the view`)
    }
    if (!source.softDeleted || source.refCount > 1) {
      changes.push({ path: source.path, events: [{ kind: 'released' }], payload: undefined })
      break
    }
    changes.push(purge(source))
    released = source
  }
  return changes
}

function purge(state: StreamState): Change {
  return { path: state.path, events: [{ kind: 'purged' }], payload: undefined }
}
