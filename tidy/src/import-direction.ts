/** Which package may import which: the layers of the design, and package borders crossed by name only. */
import type { Finding } from './finding.ts'
import type { ImportReference } from './module-syntax.ts'
import { isTestOnly, resolveRelative } from './source-file.ts'
import { type CodeFile, isInside, layerOf, type Workspace } from './workspace.ts'

/** Layers below each layer. What is not under `packages/` may import anything. */
const LAYERS_BELOW: Readonly<Record<string, readonly string[] | 'all'>> = {
  protocol: [],
  engine: ['protocol'],
  server: ['protocol', 'engine'],
  client: ['protocol'],
  state: ['protocol', 'client'],
  'event-sourcing': ['protocol', 'client'],
  console: ['protocol', 'client'],
  cli: 'all',
}

const rule = 'import-direction'

/** Looks at every import of every file of code. */
export function checkImportDirection(workspace: Workspace): readonly Finding[] {
  const layers = new Map(workspace.packages.map((owner) => [owner.name, layerOf(owner)]))
  return [
    ...workspace.packages.flatMap(({ folder, name }) => checkLayerKnown(folder, name, layers)),
    ...workspace.code.flatMap((file) =>
      file.syntax.imports.flatMap((reference) => {
        const message = reference.specifier.startsWith('.')
          ? relativeProblem(file, reference)
          : packageProblem(file, reference, layers)
        return message === undefined ? [] : [{ path: file.path, line: reference.line, rule, message }]
      }),
    ),
    ...findNamedBackends(workspace),
  ]
}

/** The package that an import names: `@scope/name` or `name`, without a path inside it. */
export function packageNameOf(specifier: string): string {
  const parts = specifier.split('/')
  return parts.slice(0, specifier.startsWith('@') ? 2 : 1).join('/')
}

function relativeProblem(
  { path, owner }: CodeFile,
  { specifier, byUrl }: ImportReference,
): string | undefined {
  if (!isInside(resolveRelative(path, specifier), owner?.folder ?? '')) {
    return `${specifier} leaves the package: import the other one by its name`
  }
  const isCompiled = path.endsWith('.ts') && !byUrl
  return isCompiled && !/\.(ts|json)$/.test(specifier) ? `${specifier} needs the ending .ts` : undefined
}

function packageProblem(
  { path, owner }: CodeFile,
  { specifier }: ImportReference,
  layers: ReadonlyMap<string, string | undefined>,
): string | undefined {
  const layer = layerOf(owner)
  if (layer === undefined) return undefined
  const target = packageNameOf(specifier)
  if (layer === 'protocol' && !isTestOnly(path)) {
    return `protocol imports nothing: take what ${specifier} gives as a value`
  }
  if (!layers.has(target) || target === owner?.name) return undefined
  const below = layersBelow(layer)
  const targetLayer = layers.get(target)
  if (below === 'all') return undefined
  if (targetLayer !== undefined && below?.includes(targetLayer) === true) return undefined
  const allowed = below === undefined || below.length === 0 ? 'no other package' : below.join(', ')
  return `${layer} may import ${allowed}, not ${target}`
}

function layersBelow(layer: string): readonly string[] | 'all' | undefined {
  return layer.startsWith('storage-') ? ['protocol', 'engine'] : LAYERS_BELOW[layer]
}

function checkLayerKnown(
  folder: string,
  name: string,
  layers: ReadonlyMap<string, string | undefined>,
): readonly Finding[] {
  const layer = layers.get(name)
  if (layer === undefined || layersBelow(layer) !== undefined) return []
  const message = `${layer} has no place among the layers: add what it may import to tidy`
  return [{ path: `${folder}/package.json`, line: 1, rule, message }]
}

/** The engine knows ports only: it must not even mention a storage package. */
function findNamedBackends({ code, packages }: Workspace): readonly Finding[] {
  const backends = packages.map(layerOf).filter((layer) => layer?.startsWith('storage-') === true)
  return code
    .filter(({ owner }) => layerOf(owner) === 'engine')
    .flatMap(({ path, text }) =>
      text.split('\n').flatMap((lineText, index) => {
        const named = backends.find((backend) => backend !== undefined && lineText.includes(backend))
        if (named === undefined) return []
        const message = `the engine must not name ${named}: speak of the port`
        return [{ path, line: index + 1, rule, message }]
      }),
    )
}
