/** Counts of what happened in runs, so that it can be seen that nothing is missing from their histories. */

/** How often each kind of thing happened; a kind is `group/name`. */
export type Counts = Readonly<Record<string, number>>

/** Counts of one run. */
export class Tally {
  readonly #counts = new Map<string, number>()

  add(group: string, name: string, count = 1): void {
    const kind = `${group}/${name}`
    this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + count)
  }

  /** All of them so far, by kind in order. */
  counts(): Counts {
    return Object.fromEntries([...this.#counts].sort(([one], [other]) => (one < other ? -1 : 1)))
  }
}

/** The counts of many runs together. */
export function sumOf(all: readonly Counts[]): Counts {
  const sum = new Map<string, number>()
  for (const counts of all) {
    for (const [kind, count] of Object.entries(counts)) sum.set(kind, (sum.get(kind) ?? 0) + count)
  }
  return Object.fromEntries([...sum].sort(([one], [other]) => (one < other ? -1 : 1)))
}

/** One line for each group: `group: name count, name count`. */
export function linesOf(counts: Counts): readonly string[] {
  const groups = new Map<string, string[]>()
  for (const [kind, count] of Object.entries(counts)) {
    const cut = kind.indexOf('/')
    const group = kind.slice(0, cut)
    groups.set(group, [...(groups.get(group) ?? []), `${kind.slice(cut + 1)} ${count}`])
  }
  return [...groups].map(([group, names]) => `${group}: ${names.join(', ')}`)
}

/** What must come in a run of many seeds: each effect as the one that a crash cuts short, each command, each trouble. */
const EXPECTED: readonly string[] = [
  ...['opening', 'serving', 'stopping'].flatMap((phase) => [
    ...['create', 'write', 'sync', 'rename', 'syncFolder', 'remove'].map(
      (kind) => `crashes before an effect (${phase})/journal ${kind}`,
    ),
    ...['create', 'write', 'sync', 'syncFolder', 'remove'].map(
      (kind) => `crashes before an effect (${phase})/blocks ${kind}`,
    ),
    `crashes before an effect (${phase})/home commit`,
    `crashes/power while ${phase}`,
    `crashes/process while ${phase}`,
  ]),
  ...['create', 'write', 'sync', 'rename', 'syncFolder'].map(
    (kind) => `crashes before an effect (opening)/directory ${kind}`,
  ),
  'crashes before an effect (opening)/journal truncate',
  ...['created', 'appended', 'cut', 'referenced', 'released', 'soft-deleted', 'purged'].map(
    (kind) => `events/${kind}`,
  ),
  ...['write', 'sync', 'syncFolder', 'create', 'rename', 'remove'].map((kind) => `disk/fails to ${kind}`),
  'disk/home to fail',
  'disk/runs full',
  'disk/failed while opening',
  ...['closed', 'removed', 'lifetime', 'shutdown'].map((why) => `readers/ended: ${why}`),
  ...['poll', 'follow'].map((way) => `readers/found waiting at the tail by ${way}`),
  'readers/rejected: offset-lost',
]

/** What should have come, and has not. */
export function neverAmong(counts: Counts): readonly string[] {
  return EXPECTED.filter((kind) => (counts[kind] ?? 0) === 0)
}

/** Crashes by kind, and by what the store was doing. */
export function crashesByKind(counts: Counts): string {
  return Object.entries(counts)
    .filter(([kind]) => kind.startsWith('crashes/'))
    .map(([kind, count]) => `${kind.slice('crashes/'.length)} ${count}`)
    .join(', ')
}
