/** The rules and the engine get time, chance, disk and network as values or ports, never from around them. */
import { bindingNames } from './binding-names.ts'
import type { Finding } from './finding.ts'
import { type ESTree, Visitor } from './module-syntax.ts'
import { isTestOnly } from './source-file.ts'
import { type CodeFile, layerOf, type Workspace } from './workspace.ts'

const PURE_LAYERS: ReadonlySet<string> = new Set(['protocol', 'engine'])

/** Names of the platform that reach outside, whatever is done with them. */
const AMBIENT_NAMES: ReadonlySet<string> = new Set([
  'Bun',
  'Deno',
  'WebSocket',
  'XMLHttpRequest',
  'clearImmediate',
  'clearInterval',
  'clearTimeout',
  'console',
  'crypto',
  'fetch',
  'performance',
  'process',
  'randomUUID',
  'require',
  'setImmediate',
  'setInterval',
  'setTimeout',
])

/** Single members of names that are otherwise harmless. */
const AMBIENT_MEMBERS: ReadonlySet<string> = new Set(['AbortSignal.timeout', 'Date.now', 'Math.random'])

const rule = 'ambient-world'

/** Looks at what `protocol` and `engine` deliver; their tests may do as they like. */
export function checkAmbientWorld({ code }: Workspace): readonly Finding[] {
  return code
    .filter(({ path, owner }) => PURE_LAYERS.has(layerOf(owner) ?? '') && !isTestOnly(path))
    .flatMap((file) => [...checkImports(file), ...checkNames(file)])
}

function checkImports({ path, syntax }: CodeFile): readonly Finding[] {
  return syntax.imports
    .filter(({ specifier }) => /^(node|bun):/.test(specifier))
    .map(({ specifier, line }) => ({ path, line, rule, message: advice(specifier) }))
}

function checkNames({ path, syntax }: CodeFile): readonly Finding[] {
  return findUses(syntax.program).map(({ name, start }) => {
    return { path, line: syntax.lineAt(start), rule, message: advice(name) }
  })
}

function advice(name: string): string {
  return `${name} reaches outside: take what it gives as a value, or through a port`
}

interface Use {
  readonly name: string
  readonly start: number
}

function findUses(program: ESTree.Program): readonly Use[] {
  const uses: Use[] = []
  const { declared, labels } = readNames(program)
  new Visitor({
    Identifier: ({ name, start }) => {
      if (AMBIENT_NAMES.has(name) && !declared.has(name) && !labels.has(start)) uses.push({ name, start })
    },
    MemberExpression: (node) => {
      if (node.object.type !== 'Identifier' || node.property.type !== 'Identifier' || node.computed) return
      const { name: object, start } = node.object
      const { name: member } = node.property
      if (AMBIENT_MEMBERS.has(`${object}.${member}`)) uses.push({ name: `${object}.${member}`, start })
      if (object === 'globalThis' && (AMBIENT_NAMES.has(member) || member === 'Date' || member === 'Math')) {
        uses.push({ name: `globalThis.${member}`, start })
      }
    },
    CallExpression: ({ callee }) =>
      void (isDate(callee) && uses.push({ name: 'Date()', start: callee.start })),
    NewExpression: ({ callee, arguments: args }) => {
      if (isDate(callee) && args.length === 0) uses.push({ name: 'new Date()', start: callee.start })
    },
  }).visit(program)
  return uses
}

function isDate(
  callee: ESTree.Expression | { readonly type: 'Super' },
): callee is ESTree.IdentifierReference {
  return callee.type === 'Identifier' && callee.name === 'Date'
}

interface Names {
  /** What the module declares itself: a parameter `process` is not the platform's. */
  readonly declared: ReadonlySet<string>
  /** Where an identifier is only the label of a member or a property. */
  readonly labels: ReadonlySet<number>
}

interface Label {
  readonly key: { readonly start: number }
  readonly computed?: boolean
}

function readNames(program: ESTree.Program): Names {
  const declared = new Set<string>()
  const labels = new Set<number>()
  const declare = (pattern: ESTree.ParamPattern | null): void => {
    for (const name of pattern === null ? [] : bindingNames(pattern)) declared.add(name)
  }
  const declareParameters = ({ params }: { readonly params: readonly ESTree.ParamPattern[] }): void => {
    params.forEach(declare)
  }
  const label = ({ key, computed }: Label): void => {
    if (computed !== true) labels.add(key.start)
  }
  new Visitor({
    ImportSpecifier: ({ local, imported }) => {
      declare(local)
      labels.add(imported.start)
    },
    VariableDeclarator: ({ id }) => declare(id),
    FunctionDeclaration: (node) => {
      declare(node.id)
      declareParameters(node)
    },
    FunctionExpression: declareParameters,
    ArrowFunctionExpression: declareParameters,
    TSFunctionType: declareParameters,
    TSMethodSignature: (node) => {
      label(node)
      declareParameters(node)
    },
    MemberExpression: ({ property, computed }) => label({ key: property, computed }),
    Property: (node) => {
      if (!node.shorthand) label(node)
    },
    MethodDefinition: label,
    PropertyDefinition: label,
    TSPropertySignature: label,
  }).visit(program)
  return { declared, labels }
}
