import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Case } from './operation'

/** A case that once differed. */
export interface Regression {
  /** What was wrong. */
  readonly title: string
  readonly case: Case
}

const folder = join(__dirname, 'regressions')

export const regressions: readonly Regression[] = readdirSync(folder)
  .filter((file) => file.endsWith('.json'))
  .sort()
  .map((file): Regression => JSON.parse(readFileSync(join(folder, file), 'utf8')))
