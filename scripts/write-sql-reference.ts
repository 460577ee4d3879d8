/** Writes docs/reference/sql.md anew, of the table of distribution. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { sqlReference } from './sql-reference'

writeFileSync(join(__dirname, '..', 'docs', 'reference', 'sql.md'), sqlReference())
