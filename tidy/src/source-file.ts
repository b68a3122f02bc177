/** A file of the tree and what its path alone says about it. */

/** Path from the repository's root with `/`, and the whole text. */
export interface SourceFile {
  readonly path: string
  readonly text: string
}

/** Whether it holds TypeScript or JavaScript. */
export function isCode(path: string): boolean {
  return /\.(ts|mts|cts|tsx|js|mjs|cjs)$/.test(path)
}

/**
 * Whether it runs in tests only: a test, or what tests share, which is named `test-…` or `….fixture.ts`.
 * Neither is part of what a package delivers.
 */
export function isTestOnly(path: string): boolean {
  return isTest(path) || /^test-[a-z]|\.fixture\.[a-z]+$/.test(fileName(path))
}

/** Whether the test runner loads it. */
export function isTest(path: string): boolean {
  return /\.test\.[a-z]+$/.test(path)
}

/** The last part of a path. */
export function fileName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}

/** A relative import resolved against the file that has it; may leave the repository as `../…`. */
export function resolveRelative(fromPath: string, specifier: string): string {
  const parts = fromPath.split('/').slice(0, -1)
  for (const part of specifier.split('/')) {
    if (part === '.' || part === '') continue
    if (part === '..' && parts.length > 0 && parts.at(-1) !== '..') parts.pop()
    else parts.push(part)
  }
  return parts.join('/')
}
