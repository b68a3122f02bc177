/** What the rules need to know from a `package.json`. */

/** Names only: versions are npm's business. */
export interface PackageManifest {
  readonly name: string
  /** What is installed with the package: dependencies of every kind but the development ones. */
  readonly dependencies: ReadonlySet<string>
  readonly devDependencies: ReadonlySet<string>
  /** Targets of `exports` as they are written. */
  readonly exportTargets: readonly string[]
  readonly hasBin: boolean
}

/** Throws, with the path, when the text is not a JSON object. Missing parts count as empty. */
export function parseManifest(path: string, text: string): PackageManifest {
  const manifest: unknown = JSON.parse(text)
  if (!isRecord(manifest)) throw new Error(`${path} is not an object`)
  return {
    name: typeof manifest.name === 'string' ? manifest.name : '',
    dependencies: new Set([
      ...keysOf(manifest.dependencies),
      ...keysOf(manifest.peerDependencies),
      ...keysOf(manifest.optionalDependencies),
    ]),
    devDependencies: new Set(keysOf(manifest.devDependencies)),
    exportTargets: stringsIn(manifest.exports),
    hasBin: manifest.bin !== undefined,
  }
}

function keysOf(value: unknown): readonly string[] {
  return isRecord(value) ? Object.keys(value) : []
}

function stringsIn(value: unknown): readonly string[] {
  if (typeof value === 'string') return [value]
  return isRecord(value) ? Object.values(value).flatMap(stringsIn) : []
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
