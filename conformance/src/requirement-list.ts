/** Reads the lists of requirements: every rule of the protocol with the published tests that enforce it, and the client's. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { asList, asRecord, asText } from './json-shape.ts'
import { repositoryRoot } from './server-commands.ts'

const LISTS = ['requirements.json', 'client-requirements.json']

/** How binding a requirement is (RFC 2119). */
export type Level = 'MUST' | 'SHOULD' | 'MAY'

/** One rule of the protocol, or one promise of the client. */
export interface Requirement {
  /** Three digits after `R-` for the protocol or `C-` for the client. */
  readonly id: string
  readonly level: Level
  /** The title of the section that it belongs to. */
  readonly section: string
  readonly text: string
  /** Full titles of the published tests that enforce it; empty, and absent in the file, where only tests of ours can. */
  readonly suite: readonly string[]
  /** What the published tests leave out, where each of them leaves something out. */
  readonly weak?: string
  /** What has to exist before it can be tested at all. */
  readonly awaiting?: string
}

const KNOWN_KEYS: ReadonlySet<string> = new Set(['id', 'level', 'text', 'suite', 'weak', 'awaiting'])

/** All requirements: those of the protocol, then those of the client. Throws when a list is not well-formed. */
export function readRequirements(): readonly Requirement[] {
  const folder = join(repositoryRoot, 'conformance')
  return LISTS.flatMap((name) => parseRequirements(readFileSync(join(folder, name), 'utf8')))
}

/** Throws, with the requirement's id, when the text is not of the documented form. */
export function parseRequirements(text: string): readonly Requirement[] {
  const { sections } = asRecord(JSON.parse(text), 'the file')
  const requirements = asList(sections, 'sections').flatMap((entry) => {
    const section = asRecord(entry, 'a section')
    const title = asText(section.title, 'the title of a section')
    return asList(section.requirements, title).map((item) => parseRequirement(item, title))
  })
  assertUnique(requirements)
  return requirements
}

function parseRequirement(value: unknown, section: string): Requirement {
  const item = asRecord(value, `a requirement of ${section}`)
  const id = asText(item.id, `an id in ${section}`)
  if (!/^[RC]-\d{3}$/.test(id)) throw new Error(`${id}: an id is R- or C- and three digits`)
  const unknownKey = Object.keys(item).find((key) => !KNOWN_KEYS.has(key))
  if (unknownKey !== undefined) throw new Error(`${id}: unknown key ${unknownKey}`)
  const weak = optionalText(item.weak, `${id} weak`)
  const awaiting = optionalText(item.awaiting, `${id} awaiting`)
  return {
    id,
    level: parseLevel(item.level, id),
    section,
    text: asText(item.text, `${id} text`),
    suite: asList(item.suite ?? [], `${id} suite`).map((title) => asText(title, `${id} suite title`)),
    ...(weak === undefined ? {} : { weak }),
    ...(awaiting === undefined ? {} : { awaiting }),
  }
}

function parseLevel(value: unknown, id: string): Level {
  if (value === 'MUST' || value === 'SHOULD' || value === 'MAY') return value
  throw new Error(`${id}: level is ${JSON.stringify(value)}`)
}

function optionalText(value: unknown, what: string): string | undefined {
  return value === undefined ? undefined : asText(value, what)
}

function assertUnique(requirements: readonly Requirement[]): void {
  const seen = new Set<string>()
  for (const { id } of requirements) {
    if (seen.has(id)) throw new Error(`${id} is listed twice`)
    seen.add(id)
  }
}
