import type { QueryResult } from 'typeorm/query-runner/QueryResult'
import { type ShardedError, unsupported } from '../../errors/sharded-error'
import { placeholderSchema } from '../../planning/bind-shard-names'
import type { Arm } from '../../query/arm-source'
import { targetTable } from '../../sql/statement-parts'
import type { OwnWords } from '../runners/own-words'
import { releasedAfter, type ShardTransaction } from '../runners/shard-transaction'
import { wholeText } from './statement-run'
import type { Statements } from './statements'

/** Reads what the application's own words name in the statements of shards, as the engine reads statements over shards. */
export class StatementWords implements OwnWords {
  constructor(
    private readonly statements: () => Statements,
    private readonly openRunner: () => ShardTransaction,
  ) {}

  async textOn({ shard, text, parameters }: Arm, isTypeOrms = false): Promise<string | undefined> {
    const statements = this.statements()
    const read = await statements.understand(text)
    // TypeORM reads a row of a reference table, of which there is a copy: of what its computed columns read, there may be none.
    if (!read) return isTypeOrms && !statements.mentions(text) ? undefined : text
    if (read.refused?.isChange)
      throw unsupported(read.refused.text, { shard: shard.name, statement: text.slice(0, 500) })
    // What the catalog of its node says is what was asked of the shard.
    if (read.analysis.uses.length === 0) return text
    const { uses } = read.analysis
    // A table of no entity may be one that the application keeps on every node.
    const homeTables = read.analysis.homeTables.filter(
      ({ schemaname, relname = '' }) => statements.catalog.homeColumns(schemaname, relname) !== undefined,
    )
    const isOwn = uses.map(({ rangeVar }) => rangeVar.schemaname !== placeholderSchema)
    if (!isOwn.includes(true) && homeTables.length === 0) return text
    if (!isOwn.includes(false)) {
      // The row of a reference table, whose computed columns are about shards.
      if (isTypeOrms) return undefined
      throw refuse(
        uses.map(({ table }) => table.name),
        { shard, text, parameters },
      )
    }
    const known = { ...read, analysis: { ...read.analysis, homeTables } }
    const engine = await statements.engine()
    const place = engine.places.placeOf({ ...known, parameters, context: { own: shard } })
    return place?.shards.get(shard.group) === shard ? wholeText(read, place) : undefined
  }

  async overShards(statement: Arm, transaction: ShardTransaction | undefined): Promise<QueryResult> {
    const { text, shard } = statement
    const read = await this.statements().understand(text)
    const written = read && targetTable(read.statement)
    if (written)
      throw unsupported(
        `A write of ${written.relname} on ${shard.name} names, in SQL of the application, rows that may lie elsewhere.`,
        { table: written.relname, shard: shard.name, statement: text.slice(0, 500) },
      )
    if (transaction) return transaction.readOverShards(statement)
    return releasedAfter(this.openRunner(), (runner) => runner.readOverShards(statement))
  }
}

function refuse(tables: readonly string[], { shard, text }: Arm): ShardedError {
  const [table = ''] = tables
  return unsupported(
    `SQL on the data source of ${shard.name} names ${table}, and does not say whether it means the rows of this shard or of all. ` +
      `Write "${placeholderSchema}"."${table}" for those of this shard, or use the sharded data source.`,
    { tables, shard: shard.name, statement: text.slice(0, 500) },
  )
}
