/** Compares a restarted server with everything that a client knows: the whole content, offsets, and what readers saw. */
import { describe, type KillClient, send } from './kill-client.fixture.ts'
import { contentOf, type StreamFacts, type World } from './kill-history.fixture.ts'
import { readAll, type Sighting, type WholeRead } from './kill-reader.fixture.ts'

/** Offsets tried for each stream. */
const OFFSETS_TRIED = 3

/** What was found out about a client. */
export interface ClientCheck {
  readonly violations: readonly string[]
  /** Whether its unanswered request was done. */
  readonly wasDone: boolean
}

/** Finds out what became of the unanswered request, and everything that is not as it has to be. */
export async function checkClient(url: string, client: KillClient): Promise<ClientCheck> {
  const seen = new Map<string, WholeRead>()
  for (const path of [client.path, client.forkPath]) {
    seen.set(path, await readAll(url, path, '-1', client.style.kind === 'json'))
  }
  const { pending, world } = client
  const unlikeBefore = differences(client, world, seen)
  const unlikeAfter = pending === undefined ? unlikeBefore : differences(client, pending.after, seen)
  if (unlikeBefore.length > 0 && unlikeAfter.length > 0) {
    if (pending === undefined) return { violations: unlikeBefore, wasDone: false }
    const question = `${describe(pending)} was under way`
    const answer = `if it was not done: ${unlikeBefore[0]}; if it was: ${unlikeAfter[0]}`
    return { violations: [`${question}; ${answer}`], wasDone: false }
  }
  const isDone = unlikeBefore.length > 0
  if (pending !== undefined && isDone) client.settle(pending, seen.get(pending.request.path)?.nextOffset)
  const wrong = [...changedTails(client, seen)]
  if (pending?.repeated !== undefined && client.random() < 0.5) {
    const { status, nextOffset } = await send(url, pending.request)
    const expected = isDone ? pending.repeated : [pending.status]
    if (!expected.includes(status)) {
      wrong.push(
        `${describe(pending)} was ${isDone ? '' : 'not '}done, and is answered ${status} when repeated`,
      )
    } else if (!isDone) client.settle(pending, nextOffset)
  }
  client.pending = undefined
  return { violations: [...wrong, ...(await checkDetails(url, client))], wasDone: isDone }
}

/** A reader's bytes are there, from the same offset on, and the offset it had last leads to what follows. */
export async function checkSighting(
  url: string,
  client: KillClient,
  sighting: Sighting,
): Promise<readonly string[]> {
  const facts = client.world.get(sighting.path)
  if (facts === undefined || facts.isHidden || facts.incarnation !== sighting.incarnation) return []
  const { path, from, content, next, mode } = sighting
  const isJson = client.style.kind === 'json'
  const what = `a ${mode} reader of ${path} from ${from}`
  const again = await readAll(url, path, from, isJson)
  if (again.status !== 200) return [`${what} is answered ${again.status} now`]
  if (!again.content.startsWith(content))
    return [`${what} saw bytes that are not there: ${firstChange(content, again.content)}`]
  if (next === undefined) return []
  const rest = await readAll(url, path, next.offset, isJson)
  if (rest.status !== 200) return [`${what} got ${next.offset}, which is answered ${rest.status} now`]
  const isSame = rest.content === again.content.slice(next.length)
  return isSame ? [] : [`${what} got ${next.offset}, which leads somewhere else now`]
}

function differences(
  client: KillClient,
  world: World,
  seen: ReadonlyMap<string, WholeRead>,
): readonly string[] {
  return [...seen].flatMap(([path, read]) => {
    const difference = unlike(client, world.get(path), read)
    return difference === undefined ? [] : [`${path}: ${difference}`]
  })
}

function unlike(client: KillClient, facts: StreamFacts | undefined, read: WholeRead): string | undefined {
  const status = facts === undefined ? 404 : facts.isHidden ? 410 : 200
  if (read.status !== status) return `it is answered ${read.status} instead of ${status}`
  if (facts === undefined || facts.isHidden) return undefined
  if (read.isClosed !== facts.isClosed) return facts.isClosed ? 'it is open again' : 'it is closed'
  const expected = contentOf(client.style.kind, facts.messages)
  return read.content === expected ? undefined : firstChange(expected, read.content)
}

/** Where two contents part, with what is there. */
function firstChange(expected: string, found: string): string {
  let at = 0
  while (at < expected.length && expected[at] === found[at]) at++
  const around = (text: string): string => JSON.stringify(text.slice(Math.max(0, at - 20), at + 40))
  return `at byte ${at} of ${expected.length} expected ${around(expected)}, found ${around(found)} of ${found.length}`
}

/** Known offsets, the tail, and what a repeated append is answered with. */
async function checkDetails(url: string, client: KillClient): Promise<readonly string[]> {
  const wrong: string[] = []
  const { kind } = client.style
  for (const [path, facts] of client.world) {
    if (facts.isHidden) continue
    const known = client.offsets.get(path) ?? []
    for (let turn = 0; turn < Math.min(OFFSETS_TRIED, known.length); turn++) {
      const tried = known[Math.floor(client.random() * known.length)]
      if (tried === undefined) continue
      const read = await readAll(url, path, tried.offset, kind === 'json')
      const rest = contentOf(kind, facts.messages.slice(tried.count))
      if (read.status !== 200 || read.content !== rest)
        wrong.push(`${path}: the offset ${tried.offset} means something else now (${read.status})`)
    }
    const { last } = facts
    if (last === undefined) continue
    const { status } = await send(url, last.request)
    if (status !== last.repeated) wrong.push(`${path}: a repeated append is answered ${status}`)
    const after = await readAll(url, path, '-1', kind === 'json')
    if (after.content !== contentOf(kind, facts.messages))
      wrong.push(`${path}: a repeated append was done twice`)
  }
  return wrong
}

/** The tail is an offset like all others; one that was given out before has to be the same. */
function changedTails(client: KillClient, seen: ReadonlyMap<string, WholeRead>): readonly string[] {
  return [...client.world].flatMap(([path, { messages, isHidden }]) => {
    const known = client.offsets.get(path)?.find(({ count }) => count === messages.length)
    const tail = seen.get(path)?.nextOffset
    if (isHidden || known === undefined || known.offset === tail) return []
    return [`${path}: the tail was ${known.offset} and is ${tail}`]
  })
}
