/**
 * The CommonJS build: one file, and the declarations once more, because TypeScript takes declarations in a folder of
 * ES modules for those of ES modules. `tsc -b` has to run before.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const built = join(import.meta.dirname, 'dist')

const commonJsDeclarations = {
  name: 'commonjs-declarations',
  generateBundle() {
    this.emitFile({ type: 'asset', fileName: 'package.json', source: '{ "type": "commonjs" }\n' })
    for (const fileName of readdirSync(built)) {
      if (!fileName.endsWith('.d.ts') || /\.(test|fixture)\./.test(fileName)) continue
      const source = readFileSync(join(built, fileName), 'utf8').replace(/^\/\/# sourceMappingURL=.*$/m, '')
      this.emitFile({ type: 'asset', fileName, source })
    }
  },
}

export default {
  input: join(built, 'index.js'),
  platform: 'neutral',
  plugins: [commonJsDeclarations],
  output: { dir: join(built, 'cjs'), entryFileNames: 'index.js', format: 'cjs', sourcemap: true },
}
