#!/usr/bin/env node
import { existsSync } from 'node:fs'

const main = new URL('../dist/main.js', import.meta.url)
if (!existsSync(main)) {
  console.error('millrace has not been built yet. In a checkout of the repository, run: npm run build')
  process.exit(1)
}
await import(main.href)
