import type { ObjectLiteral } from 'typeorm'
import type { Row } from '../../merging/row'
import { armTag } from '../../planning/bind-shard-names'
import { buildNodeStatements, type NodeStatement, type ScatterArm } from '../../planning/scatter-statement'
import { type EntityBinding, shardAt } from '../binding/entity-binding'
import type { ArmQueryBuilder } from '../find/arm-query-builder'
import { type FoundPage, rowsByArm } from './found-page'
import { addKeyTexts } from './key-columns'
import { countableColumn } from './pivot-columns'
import { type FindOptions, maxArms, newBuilder, type ScatterScope, shardTemplates } from './scatter-rows'

/**
 * Fetches the rows of a page by their keys: one statement a node, of the shards that have any of them.
 * Rows that went away, or do not meet the condition any more, are left out, as if the find had come later.
 */
export async function loadPage(scope: ScatterScope, options: FindOptions, keys: readonly Row[]): Promise<FoundPage> {
  const { builder, statements } = planLoad(scope, options, keys)
  const found = new Map<string, Row>()
  for (const row of (await scope.access.query(statements)).flat()) found.set(identityOf(row), row)
  const rows = keys.map((key) => found.get(identityOf(key))).filter((row) => row !== undefined)
  return { builder, rows, isKeys: false }
}

function planLoad(
  scope: ScatterScope,
  { order: _order, skip: _skip, take: _take, ...options }: FindOptions,
  keys: readonly Row[],
): { readonly builder: ArmQueryBuilder<ObjectLiteral>; readonly statements: readonly NodeStatement[] } {
  const { binding } = scope
  // Each list of keys takes the place of its mark: all shards have one text.
  const marks = binding.metadata.primaryColumns.map((): readonly string[] => [])
  const template = newBuilder(scope, options)
  const prepare = (builder: ArmQueryBuilder<ObjectLiteral>) => {
    addKeyTexts(builder, binding)
    builder.addSelect(armTag, '__arm').setOption('disable-global-order')
    const parameters = Object.fromEntries(marks.map((mark, index) => [`pageKeys${index}`, mark]))
    return builder.andAlso([keyCondition(builder, binding)], parameters).statement()
  }
  const templates = shardTemplates(scope, options, prepare, template)
  const arms = Array.from(rowsByArm(keys), ([index, own]): ScatterArm => {
    const shard = shardAt(binding, index)
    const { text, parameters } = templates.of(shard)
    const lists = marks.map((_, part) => own.map((row) => row[`__p${part}`]))
    return { shard, text, parameters: parameters.map((value) => lists[marks.indexOf(value as never)] ?? value) }
  })
  const statements = buildNodeStatements(arms, { order: [], limit: undefined, sharedParameters: false, maxArms })
  return { builder: template, statements }
}

function keyCondition(builder: ArmQueryBuilder<ObjectLiteral>, { metadata }: EntityBinding): string {
  const parts = metadata.primaryColumns.map((column, index) => {
    const raw = `${builder.escape(builder.alias)}.${builder.escape(column.databaseName)}`
    const known = countableColumn(column, raw)
    const sql = typeof known === 'string' ? undefined : known
    return {
      expression: sql?.expression ?? `${raw}::text`,
      list: `CAST(:pageKeys${index} AS ${sql?.castTo ?? 'text'}[])`,
    }
  })
  const [only, another] = parts
  if (only && !another) return `${only.expression} = ANY(${only.list})`
  const expressions = parts.map(({ expression }) => expression).join(', ')
  return `(${expressions}) IN (SELECT * FROM unnest(${parts.map(({ list }) => list).join(', ')}))`
}

function identityOf(row: Row): string {
  const parts: unknown[] = [row['__arm']]
  for (let index = 0; row[`__p${index}`] !== undefined; index++) parts.push(row[`__p${index}`])
  return JSON.stringify(parts)
}
