import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { AppendCommand, CreateCommand } from './command.ts'
import { decideAppend } from './decide-append.ts'
import { decideCreate } from './decide-create.ts'
import type { Decision } from './decision.ts'
import { NEVER } from './expiry.ts'
import { judgeOffset, lastKnown, offsetAt } from './generation.ts'
import { type OffsetParts, parseOffset } from './offset.ts'
import { parseStreamPath, type StreamPath } from './stream-path.ts'
import { evolve, PLAIN_CONFIG, type StreamState, streamId } from './stream-state.ts'

const NOW = Date.UTC(2026, 0, 1)
const TYPE = PLAIN_CONFIG.mediaType

function path(name: string): StreamPath {
  const parsed = parseStreamPath(name)
  if (parsed.kind !== 'stream') throw new Error(name)
  return parsed.path
}

function rules(generation: number) {
  return { producerIdleMs: undefined, generation }
}

function fold(state: StreamState | undefined, decision: Decision, name: string): StreamState {
  if (decision.kind !== 'accept') throw new Error(decision.kind)
  const change = decision.changes.find((one) => one.path === name)
  const next = change?.events.reduce(evolve, state)
  if (next === undefined) throw new Error('no state')
  return next
}

function put(name: string, body: string, generation: number, fork?: CreateCommand['fork']): CreateCommand {
  return {
    kind: 'create',
    path: path(name),
    id: streamId(`${name}-${generation}`),
    contentType: TYPE,
    mediaType: TYPE,
    expiry: NEVER,
    closed: false,
    body: new TextEncoder().encode(body),
    fork,
  }
}

function created(name: string, body: string, generation: number): StreamState {
  const view = { stream: () => undefined }
  return fold(
    undefined,
    decideCreate(view, put(name, body, generation), undefined, NOW, rules(generation)),
    name,
  )
}

function append(
  state: StreamState,
  bytes: number,
  generation: number,
): { state: StreamState; token: string } {
  const payload = { kind: 'bytes', bytes: new Uint8Array(bytes), messages: 1 } as const
  const command: AppendCommand = {
    kind: 'append',
    path: state.path,
    mediaType: TYPE,
    payload,
    closes: false,
    producer: undefined,
    streamSeq: undefined,
  }
  const decision = decideAppend(state, command, NOW, rules(generation))
  const next = fold(state, decision, state.path)
  return { state: next, token: offsetAt(next, next.tail) }
}

function parts(token: string): OffsetParts {
  const parsed = parseOffset(token)
  if (parsed.kind !== 'offset') throw new Error(token)
  return parsed
}

describe('offsets of a stream whose store lost bytes', () => {
  const before = append(created('a', 'abcde', 0), 5, 0)
  const lost = append(before.state, 5, 0)
  const after = append(before.state, 7, 1)

  it('keep their generation below the loss, and have the next one above it', () => {
    expect(before.token).toBe('0000000000000000_0000000000000010')
    expect(lost.token).toBe('0000000000000000_0000000000000015')
    expect(after.token).toBe('0000000000000001_0000000000000017')
    expect(offsetAt(after.state, 10)).toBe(before.token)
    expect(offsetAt(after.state, 11)).toBe('0000000000000001_0000000000000011')
    expect(after.state.cuts).toEqual([{ generation: 1, from: 10 }])
  })

  it('are lost if they name what is gone, before and after other bytes are there', () => {
    expect(judgeOffset(before.state, parts(lost.token), 1)).toBe('lost')
    expect(judgeOffset(after.state, parts(lost.token), 1)).toBe('lost')
    expect(lastKnown(before.state, parts(lost.token))).toBe(before.token)
    expect(lastKnown(after.state, parts(lost.token))).toBe(before.token)
  })

  it('are known if they name what is there', () => {
    for (const token of [before.token, after.token, offsetAt(after.state, 0), offsetAt(after.state, 12)]) {
      expect(judgeOffset(after.state, parts(token), 1)).toBe('known')
    }
  })

  it('were never given out beyond the tail or in a generation that has not begun', () => {
    expect(judgeOffset(after.state, { generation: 1, position: 18 }, 1)).toBe('never')
    expect(judgeOffset(after.state, { generation: 1, position: 5 }, 1)).toBe('never')
    expect(judgeOffset(after.state, { generation: 2, position: 17 }, 1)).toBe('never')
  })

  it('are shared with a fork below its origin', () => {
    const request = { sourcePath: path('a'), forkAt: undefined, subOffset: 0 }
    const point = { kind: 'found', sourceId: after.state.id, forkPosition: 17, ownFrom: 17 } as const
    const view = { stream: (name: string) => (name === 'a' ? after.state : undefined) }
    const fork = fold(undefined, decideCreate(view, put('f', 'xy', 2, request), point, NOW, rules(2)), 'f')
    for (const at of [0, 10, 11, 17]) expect(offsetAt(fork, at)).toBe(offsetAt(after.state, at))
    expect(offsetAt(fork, 19)).toBe('0000000000000002_0000000000000019')
  })

  it('of a stream that was lost as a whole are not those of its successor', () => {
    const successor = created('a', 'vwxyz', 1)
    expect(judgeOffset(successor, parts(before.token), 1)).toBe('lost')
    expect(lastKnown(successor, parts(before.token))).toBe('0000000000000000_0000000000000000')
  })
})

describe('any history of appends and losses', () => {
  it('gives no offset to two different places, and orders offsets as positions', () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('append'), bytes: fc.integer({ min: 1, max: 9 }) }),
      fc.record({ kind: fc.constant('loss'), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
    )
    const property = fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      let history = [created('a', '', 0)]
      let generation = 0
      // Each append is a number; an offset stands for the appends before it.
      const contents = new Map<StreamState, string>(history.map((state) => [state, '']))
      const handed = new Map<string, string>()
      let number = 0
      for (const one of steps) {
        const last = history.at(-1)
        if (last === undefined) return false
        if (one.kind === 'loss') {
          history = history.slice(0, 1 + Math.floor(one.share * (history.length - 1)))
          generation++
        } else if ('bytes' in one) {
          const next = append(last, one.bytes, generation)
          const content = `${contents.get(last)} ${++number}`
          if (
            handed.has(next.token) ||
            [...handed.keys()].some((token) => judge(last, token) && token >= next.token)
          ) {
            return false
          }
          handed.set(next.token, content)
          contents.set(next.state, content)
          history.push(next.state)
        }
        const now = history.at(-1)
        if (now === undefined) return false
        const current = contents.get(now) ?? ''
        for (const [token, content] of handed) {
          const isThere = current === content || current.startsWith(`${content} `)
          const verdict = judgeOffset(now, parts(token), generation)
          if (verdict !== (isThere ? 'known' : 'lost')) return false
        }
      }
      function judge(state: StreamState, token: string): boolean {
        return judgeOffset(state, parts(token), generation) === 'known'
      }
      return true
    })
    expect(fc.check(property, { seed: 20_241_009, numRuns: 2000 }).counterexample).toBeNull()
  })
})
