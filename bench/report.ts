/** Writes docs/benchmarks.md from the latest results and the notes. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { reportPage } from './support/report'

const root = join(__dirname, '..')
const read = (path: string): string => readFileSync(join(root, path), 'utf8')

writeFileSync(
  join(root, 'docs/benchmarks.md'),
  reportPage(JSON.parse(read('bench/results/latest.json')), read('bench/notes.md')),
)
