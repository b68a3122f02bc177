/** Rules: permissions for whoever they name. */
import { listIn, WatchedFile } from './auth-file.ts'
import type { AccessRule } from './auth-options.ts'
import { configuredGrants, type Grant } from './auth-scopes.ts'

/** The grants of each `who`. */
export type RuleTable = ReadonlyMap<string, readonly Grant[]>

const WHO = /^(?:anyone|authenticated|(?:subject|key):.+)$/s

/** The rules that a server has been given. */
export class AccessTable {
  readonly #file: WatchedFile<RuleTable> | undefined
  readonly #table: RuleTable

  /** Throws `RangeError` if a rule is not as it has to be. */
  constructor(rules: readonly AccessRule[] | { readonly file: string }, onError: (error: unknown) => void) {
    this.#file =
      'file' in rules
        ? new WatchedFile(rules.file, (text) => toTable(listIn(text, 'rules')), onError)
        : undefined
    this.#table = 'file' in rules ? new Map() : toTable(rules)
  }

  /** Reads the file, if they are in one. */
  async open(): Promise<void> {
    await this.#file?.open()
  }

  /** The rules in force. */
  async current(): Promise<RuleTable> {
    return (await this.#file?.current()) ?? this.#table
  }
}

function toTable(rules: readonly unknown[]): RuleTable {
  const table = new Map<string, Grant[]>()
  for (const rule of rules) {
    const who: unknown = Object.entries(rule ?? {}).find(([key]) => key === 'who')?.[1]
    if (typeof who !== 'string' || !WHO.test(who)) {
      throw new RangeError(
        `a rule is for "anyone", "authenticated", "subject:…" or "key:…", not ${JSON.stringify(who)}.`,
      )
    }
    const grants = table.get(who) ?? []
    grants.push(...configuredGrants([rule], `the rule for ${who}`))
    table.set(who, grants)
  }
  return table
}
