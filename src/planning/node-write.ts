import { pushTo } from '../collections/push-to'
import type { Row } from '../merging/row'
import type { Arm } from '../query/arm-source'
import { maxParameters } from '../sql/max-parameters'
import { quoted } from '../values/quoted'
import { bindShardNames, writtenName } from './bind-shard-names'
import { type NodeStatement, renumberParameters, textOfTemplate } from './scatter-statement'
import { type ProofFacts, type Proven, type ShardForm, unitedForm } from './united-form'

/** What is sent to one node for one of its shards, or for several at once: frozen, printable. */
export interface NodeWrite extends NodeStatement {
  /** What the statement answers with for each of its shards. undefined: it is one shard's own statement. */
  readonly united: ShardForm | undefined
}

export interface NodeWriteShape extends ProofFacts {
  /** The most shards in one text. */
  readonly maxArms: number
}

/** A shard's part of the answer, as the server would have given it to the shard's own statement. */
export interface ShardAnswer {
  readonly command: ShardForm['command']
  readonly rowCount: number
  readonly rows: readonly Row[]
}

/**
 * The statements of a write, in the order of its shards: one a node, of data-modifying queries of a WITH. A statement that
 * is not proven to do the same in a WITH stays one a shard.
 *
 * All queries of one statement see one snapshot. No shard's query sees what another's has written, and none needs to: each
 * writes and reads the tables of its own shard. Triggers that fire after rows or statements, foreign keys among them, fire
 * when all queries have run. That is the order in which they fire on one database.
 */
export function nodeWrites(arms: readonly Arm[], shape: NodeWriteShape): readonly NodeWrite[] {
  const byNode = new Map<string, Arm[]>()
  for (const arm of arms) pushTo(byNode, arm.shard.node, arm)
  return Object.freeze([...byNode.values()].flatMap((nodeArms) => [...chunks(nodeArms, shape)].map(buildWrite)))
}

interface Chunk {
  readonly arms: readonly [Arm, ...Arm[]]
  readonly proven: Proven | undefined
}

/** Neighbours of one form, as many as one statement takes. */
function* chunks(arms: readonly Arm[], shape: NodeWriteShape): Generator<Chunk> {
  let chunk: [Arm, ...Arm[]] | undefined
  let proven: Proven | undefined
  let parameters = 0
  for (const arm of arms) {
    const own = unitedForm(arm, shape)
    const count = parameters + arm.parameters.length
    if (chunk && proven && isAlike(proven, own) && chunk.length < shape.maxArms && count <= maxParameters) {
      chunk.push(arm)
      parameters = count
      continue
    }
    if (chunk) yield { arms: chunk, proven }
    chunk = [arm]
    proven = own
    parameters = arm.parameters.length
  }
  if (chunk) yield { arms: chunk, proven }
}

const isAlike = (proven: Proven, other: Proven | undefined): boolean =>
  proven === other || JSON.stringify(proven) === JSON.stringify(other)

function buildWrite({ arms, proven }: Chunk): NodeWrite {
  const [{ shard, text, parameters }, another] = arms
  const base = { node: shard.node, shards: Object.freeze(arms.map((arm) => arm.shard.name)) }
  if (!another || !proven)
    return Object.freeze({
      ...base,
      text: bindShardNames(text, shard),
      parameters: Object.freeze([...parameters]),
      united: undefined,
    })
  const isTemplate = arms.every((arm) => arm.text === text)
  return Object.freeze({
    ...base,
    text: isTemplate ? textOfTemplate(arms, 'write', () => unite(arms, proven)) : unite(arms, proven),
    parameters: Object.freeze(arms.flatMap((arm) => arm.parameters)),
    united: proven.form,
  })
}

const nameOf = (index: number): string => `"__w${index}__"`

/**
 * Each shard's parameters are its own: a parameter may have the type of a shard.
 *
 * PostgreSQL takes one kind of rule in a WITH: one that does something else instead, and says what that returns. A table's
 * rows have an oid of their table then, too, which no rule can return: with it the statement is refused, as with any other rule.
 */
function unite(arms: Chunk['arms'], { form: { returning }, table, alias }: Proven): string {
  let offset = 0
  const queries = arms.map(({ text, shard, parameters }, index) => {
    const query = renumberParameters(bindShardNames(text, shard), offset)
    offset += parameters.length
    const tableoid = `${quoted(alias ?? writtenName(table, text, shard))}.tableoid`
    // A comment may stand at the end.
    return `${nameOf(index)} AS (${query}\n${returning ? `, ${tableoid} AS "__of__"` : `RETURNING ${tableoid}`}\n)`
  })
  if (!returning) {
    const counts = arms.map((_, index) => `(SELECT count(*) FROM ${nameOf(index)}) AS "n${index}"`)
    return `WITH ${queries.join(', ')} SELECT ${counts.join(', ')}`
  }
  const columns = returning.map(quoted).join(', ')
  const rows = arms.map((_, index) => `SELECT ${index} AS "__arm__", ${columns} FROM ${nameOf(index)}`)
  return `WITH ${[...queries, sameTypes(arms.length, returning)].join(', ')} ${rows.join(' UNION ALL ')}`
}

/**
 * A query that nothing names: PostgreSQL parses it, and does not run it. It fails where a shard's column has another type
 * than that of the first, as while shards are altered one after the other: the UNION would change the values. See `checked`.
 */
function sameTypes(count: number, names: readonly string[]): string {
  const queries = Array.from({ length: count }, (_, index) => nameOf(index))
  const [first = '', ...others] = queries
  const checks = others.flatMap((query) =>
    names.map((name) => `pg_catalog.array_ne(ARRAY[${first}.${quoted(name)}], ARRAY[${query}.${quoted(name)}])`),
  )
  return `"__same__" AS (SELECT 1 FROM ${queries.join(', ')} WHERE ${checks.join(' OR ')})`
}

/** The answers of a united statement's shards, in their order. */
export function answersOf(
  shards: readonly string[],
  form: ShardForm,
  answered: readonly Row[],
): readonly ShardAnswer[] {
  const { command, returning } = form
  if (!returning) {
    const [counts = {}] = answered
    return shards.map((_, index) => ({ command, rowCount: Number(counts[`n${index}`]), rows: [] }))
  }
  const rows = shards.map((): Row[] => [])
  for (const { __arm__: arm, ...row } of answered) {
    const own = rows[Number(arm)]
    if (!own) throw new RangeError(`A row of a write says that it is of shard ${String(arm)}.`)
    own.push(row)
  }
  return rows.map((own) => ({ command, rowCount: own.length, rows: own }))
}
