import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Node } from '@pgsql/types'
import { beforeAll, describe, expect, it } from 'vitest'
import { sqlReferenceProblems } from '../../../scripts/sql-reference'
import { distributionTable } from '../../../src/routing/distribution/distribution-table'
import { distributionProblems } from '../../../src/routing/distribution/prove-distribution'
import { noFunctions } from '../../../src/routing/known-functions'
import { parseStatement } from '../../../src/sql/parse-statement'
import { loadParser } from '../../../src/sql/parser'

const root = join(__dirname, '..', '..', '..')

/** The node types of PostgreSQL's grammar, as `@pgsql/types` lists them. */
function nodeTypes(): readonly string[] {
  const source = readFileSync(join(root, 'node_modules', '@pgsql', 'types', 'types.d.ts'), 'utf8')
  const union = source.slice(source.indexOf('export type Node ='))
  const end = union.indexOf('};\nexport')
  return [...union.slice(0, end).matchAll(/^\s+(\w+): \1;/gm)].map(([, name = '']) => name)
}

const problemsOf = (statement: unknown) =>
  distributionProblems(statement, noFunctions, new Set()).map(({ text }) => text)

describe('the table of distribution', () => {
  beforeAll(() => loadParser())

  it('has an entry for every node type of the grammar', () => {
    expect(nodeTypes().length).toBeGreaterThan(250)
    expect(Object.keys(distributionTable).sort()).toEqual([...nodeTypes()].sort())
  })

  it('names tests that there are, for every entry', () => {
    for (const [tag, { tests }] of Object.entries(distributionTable)) {
      expect({ tag, count: tests.length > 0 }).toEqual({ tag, count: true })
      for (const test of tests)
        expect({ tag, test, exists: existsSync(join(root, test)) }).toEqual({ tag, test, exists: true })
    }
  })

  it('is what the page of SQL says', () => {
    expect(sqlReferenceProblems(readFileSync(join(root, 'docs', 'reference', 'sql.md'), 'utf8'))).toEqual([])
  })

  it('lets a node that it does not know be refused, and a field as well', () => {
    expect(problemsOf({ NovelClause: {} })).toEqual(['NovelClause is not known to run over shards.'])
    expect(problemsOf({ SelectStmt: { novelField: { List: {} } } })).toEqual([
      'novelField of SELECT, VALUES, TABLE, UNION, INTERSECT, EXCEPT is not known to run over shards.',
    ])
  })

  it.each([
    ['SELECT a FROM t TABLESAMPLE SYSTEM (5)', 'TABLESAMPLE: TABLESAMPLE draws its rows from one table.'],
    ['SELECT a INTO b FROM t', 'SELECT INTO: A table that a statement makes would be made on every shard.'],
    ['DELETE FROM t WHERE CURRENT OF c', 'WHERE CURRENT OF: A cursor is of one node.'],
    ['TRUNCATE t', 'other statements: Only SELECT, INSERT, UPDATE and DELETE run over shards.'],
    ['CREATE TABLE t (a int)', 'other statements: Only SELECT, INSERT, UPDATE and DELETE run over shards.'],
    [
      'MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN DELETE',
      'MERGE: MERGE may put rows on shards that are not theirs.',
    ],
  ])('refuses %s', (text, problem) => {
    const [statement] = parseStatement(text)?.statements ?? []
    expect(problemsOf(statement)).toContain(problem)
  })

  it('visits a node wherever it stands', () => {
    const refused: Node = { CurrentOfExpr: { cursor_name: 'c' } }
    const problem = 'WHERE CURRENT OF: A cursor is of one node.'
    for (const [tag, { fields, rule }] of Object.entries(distributionTable)) {
      if (rule === 'refused') continue
      for (const [field, kind] of Object.entries(fields)) {
        if (kind !== 'nodes') continue
        for (const value of [[refused], [[refused]]])
          expect({ tag, field, problems: problemsOf({ [tag]: { [field]: value } }) }).toEqual({
            tag,
            field,
            problems: [problem],
          })
      }
    }
  })
})
