import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ConcurrentClients, type Move } from './concurrent-clients.fixture.ts'
import { inShort, pollInShort, ttl, World } from './engine-world.fixture.ts'
import type { CommitFate } from './scripted-storage.fixture.ts'
import { type ModelCreation, type ModelWriting, StreamModel } from './stream-model.fixture.ts'

const NAMES = ['a', 'b', 'c', 'd'] as const
const TEXT = 'text/plain'
const JSON_TYPE = 'application/json'

type Step =
  | { readonly do: 'create'; readonly name: string; readonly creation: ModelCreation }
  | { readonly do: 'append'; readonly name: string; readonly writing: ModelWriting }
  | { readonly do: 'remove' | 'read' | 'poll'; readonly name: string }
  | { readonly do: 'pass'; readonly seconds: number }

/** The type that the stream has, so that the request fits. */
const FITTING = 'fitting'

const name = fc.constantFrom(...NAMES)
const ttlSeconds = fc.constantFrom(...Array(7).fill(undefined), 4, 20)
const type = fc.constantFrom(...Array(12).fill(FITTING), TEXT, JSON_TYPE)
const content = fc.constantFrom(
  ...['1', '[1,2]', '"abc"', '{"n":1}', '[[3]]', '[4,5,6]', '"x"', '[true]', '22', '[333,4444]'],
  ...['[]', '[', 'plain'],
)
const closes = fc.constantFrom(...Array(9).fill(false), true)

const creation: fc.Arbitrary<ModelCreation> = fc.record({
  type: fc.constantFrom(TEXT, JSON_TYPE, TEXT, JSON_TYPE, undefined),
  ttlSeconds,
  closed: closes,
  body: fc.oneof(fc.constant(''), content),
  fork: fc.constant(undefined),
})

const forking: fc.Arbitrary<ModelCreation> = fc.record({
  type: fc.option(type, { nil: undefined, freq: 2 }),
  ttlSeconds,
  closed: closes,
  body: fc.oneof(fc.constant(''), fc.constant(''), content),
  // A negative place counts the messages before it.
  fork: fc.record({
    from: name,
    at: fc.option(fc.oneof(fc.integer({ min: -12, max: -1 }), fc.nat(9)), { nil: undefined, freq: 3 }),
    sub: fc.constantFrom(0, 0, 1, 2, 3),
  }),
})

const producer = fc.tuple(
  fc.constantFrom('p', 'q'),
  fc.constantFrom(0, 0, 0, 0, 1),
  fc.constantFrom(0, 0, 1, 1, 2, 3),
)

const writing: fc.Arbitrary<ModelWriting> = fc.record({
  type,
  content: fc.option(content, { nil: undefined, freq: 9 }),
  closes,
  producer: fc.option(producer, { nil: undefined, freq: 2 }),
  seq: fc.option(fc.constantFrom('1', '10', '2', 'B', 'a'), { nil: undefined, freq: 2 }),
})

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant('create' as const), name, creation }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('create' as const), name, creation: forking }) },
  { weight: 20, arbitrary: fc.record({ do: fc.constant('append' as const), name, writing }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('read' as const, 'poll' as const), name }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('remove' as const), name }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('pass' as const), seconds: fc.integer({ min: 1, max: 6 }) }),
  },
)

/** A step as it is meant once the state is known that it meets: mostly at something that can work. */
function aimed(model: StreamModel, one: Step): Step {
  const isThere = (target: string): boolean => model.peek(target) !== undefined
  if (one.do === 'append') {
    const { writing: given } = one
    const target = given.seq === 'B' ? one.name : ([one.name, ...NAMES].find(isThere) ?? one.name)
    return { ...one, name: target, writing: { ...given, type: fitting(model, target, given.type) ?? TEXT } }
  }
  if (one.do !== 'create' || one.creation.fork === undefined) return one
  const { fork } = one.creation
  const target = fork.sub === 1 ? one.name : (NAMES.find((free) => !isThere(free)) ?? one.name)
  const from = fork.sub === 2 ? fork.from : ([fork.from, ...NAMES].find(isThere) ?? fork.from)
  const places = model.peek(from)?.places ?? []
  const at = fork.at === undefined || fork.at >= 0 ? fork.at : (places[-fork.at % (places.length + 1)] ?? 0)
  const asked = fitting(model, from, one.creation.type)
  return { ...one, name: target, creation: { ...one.creation, type: asked, fork: { ...fork, from, at } } }
}

function fitting(model: StreamModel, target: string, given: string | undefined): string | undefined {
  return given === FITTING ? model.peek(target)?.type : given
}

/** An empty POST that does not close is refused before it gets here. */
function isRequest({ content: sent, closes }: ModelWriting): boolean {
  return sent !== undefined || closes
}

async function runOnEngine(world: World, one: Step): Promise<string> {
  switch (one.do) {
    case 'create': {
      const { type: contentType, ttlSeconds: seconds, fork, ...rest } = one.creation
      const command = world.creation(one.name, {
        ...rest,
        ...(contentType !== undefined && { type: contentType }),
        ...(seconds !== undefined && { expiry: ttl(seconds) }),
        ...(fork && {
          fork: { from: fork.from, sub: fork.sub, ...(fork.at !== undefined && { at: fork.at }) },
        }),
      })
      // The media type that a request without one asks for is not the business of the fixture.
      const asked = { ...command, contentType, mediaType: contentType }
      return inShort(await world.done(world.engine.create(asked)))
    }
    case 'append': {
      const { content: sent, closes, producer: stamp, seq, type: mediaType } = one.writing
      const given = {
        closes,
        type: mediaType,
        ...(stamp && { producer: stamp }),
        ...(seq !== undefined && { seq }),
      }
      return inShort(await world.done(world.engine.append(world.writing(one.name, sent, given))))
    }
    case 'remove':
      return inShort(await world.done(world.remove(one.name)))
    case 'read':
      return world.text(one.name)
    case 'poll':
      return pollBriefly(world, one.name)
    case 'pass':
      await world.pass(one.seconds * 1000)
      return ''
  }
}

/** Waits at the tail for a moment and goes away. */
async function pollBriefly(world: World, target: string): Promise<string> {
  const poll = world.poll(target, 'now')
  await world.settle()
  const found = pollInShort(poll)
  poll.abort()
  await world.settle()
  return found.startsWith('rejected') ? `<${found.slice('rejected: '.length)}>` : 'read'
}

function runOnModel(model: StreamModel, one: Step): string {
  switch (one.do) {
    case 'create':
      return model.create(one.name, one.creation)
    case 'append':
      return model.append(one.name, one.writing)
    case 'remove':
      return model.remove(one.name)
    case 'read':
      return model.read(one.name)
    case 'poll': {
      const found = model.read(one.name)
      return found === '<not-found>' || found === '<gone>' ? found : 'read'
    }
    case 'pass':
      model.pass(one.seconds * 1000)
      return ''
  }
}

async function headOf(world: World, target: string): Promise<string> {
  const head = await world.done(world.head(target))
  if (head.kind === 'rejected') return head.rejection.kind
  return `${head.state.tail} ${head.state.closed ? 'closed' : 'open'}`
}

async function compare(steps: readonly Step[], isSynchronous: boolean): Promise<void> {
  const world = new World({
    synchronous: isSynchronous,
    limits: { chunkBytes: 32, followChunkBytes: 16, maxIdleStreams: 2 },
  })
  const model = new StreamModel()
  const plain = { ttlSeconds: undefined, closed: false, body: '', fork: undefined }
  const prelude: readonly Step[] = [
    { do: 'create', name: 'a', creation: { ...plain, type: TEXT } },
    { do: 'create', name: 'b', creation: { ...plain, type: JSON_TYPE } },
  ]
  for (const meant of [...prelude, ...steps]) {
    const one = aimed(model, meant)
    if (one.do === 'append' && !isRequest(one.writing)) continue
    expect([one, await runOnEngine(world, one)]).toEqual([one, runOnModel(model, one)])
    for (const target of NAMES) expect([one, await headOf(world, target)]).toEqual([one, model.head(target)])
  }
  for (const target of NAMES) expect(await world.text(target)).toBe(model.read(target))
  expect(world.engine.statistics()).toMatchObject({ readers: 0, deadlines: 1, pendingCommits: 0 })
  expect(world.faults).toEqual([])
}

describe('one command after the other', () => {
  it('answers as the model does, and holds what the model holds', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.noBias(fc.array(step, { minLength: 30, maxLength: 50, size: 'max' })),
        fc.boolean(),
        compare,
      ),
      { seed: 1729, numRuns: 400 },
    )
  }, 60_000)
})

const FATES: readonly CommitFate[] = ['apply', 'apply', 'apply', 'apply', 'full', 'lost', 'kept', 'conflict']
const which = fc.nat(7)
const stamp = fc.tuple(fc.constantFrom('p', 'q'), fc.constantFrom(0, 0, 0, 1), fc.constantFrom(0, 0, 1, 1, 2))

const move: fc.Arbitrary<Move> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('create' as const),
      name,
      ttlSeconds: fc.constantFrom(undefined, undefined, 2),
      body: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('fork' as const), name: fc.constantFrom('c', 'd'), from: name }),
  },
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constant('append' as const),
      name,
      producer: fc.option(stamp, { nil: undefined, freq: 2 }),
      closes: fc.constantFrom(...Array(20).fill(false), true),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('close' as const, 'remove' as const), name }) },
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constantFrom('read' as const, 'poll' as const, 'follow' as const), name }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constantFrom('block' as const, 'resume' as const, 'stop' as const, 'abort' as const),
      which,
    }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('promises' as const), which }) },
  {
    weight: 24,
    arbitrary: fc.record({
      do: fc.constantFrom(
        ...(['commits', 'answers', 'reads', 'loads', 'turn', 'settle', 'loads', 'commits'] as const),
      ),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 2500 }) }),
  },
)

const moves = fc.noBias(fc.array(move, { minLength: 60, maxLength: 140, size: 'max' }))

async function violationsOf(made: readonly Move[], fates: readonly CommitFate[]): Promise<readonly string[]> {
  const clients = new ConcurrentClients(fates)
  const plain = { ttlSeconds: undefined, body: false }
  await clients.run([
    { do: 'create', name: 'a', ...plain },
    { do: 'create', name: 'b', ...plain },
    { do: 'loads' },
    { do: 'loads' },
    ...made,
  ])
  return clients.violations()
}

describe('many at once, on a store that takes its time', () => {
  it('R-151: R-339: R-340: every read is a true prefix, every accepted append is there once, in order', async () => {
    await fc.assert(
      fc.asyncProperty(moves, async (made) => {
        expect(await violationsOf(made, [])).toEqual([])
      }),
      { seed: 4104, numRuns: 300 },
    )
  }, 60_000)

  it('so it is when commits are refused, conflict, or have an unknown outcome', async () => {
    const fates = fc.noBias(
      fc.array(fc.constantFrom(...FATES), { minLength: 10, maxLength: 60, size: 'max' }),
    )
    await fc.assert(
      fc.asyncProperty(moves, fates, async (made, fate) => {
        expect(await violationsOf(made, fate)).toEqual([])
      }),
      { seed: 87539319, numRuns: 300 },
    )
  }, 60_000)
})
