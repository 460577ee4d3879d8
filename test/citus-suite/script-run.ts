import { createReadStream } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Node } from '@pgsql/types'
import type { PoolClient } from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import type { QueryRunner } from 'typeorm'
import { ShardedError } from '../../src/index'
import { parseStatement } from '../../src/sql/parse-statement'
import { isNode, namesOf, visit } from '../../src/sql/tree'
import { type Answer, compareAnswers, type Verdict } from './compare-answers'
import { type Placement, placementCalls } from './placements'
import { readScript, type ScriptItem } from './psql-script'
import { type ScriptTable, scriptTables } from './script-tables'
import { plainContents, ShardedCopy } from './sharded-copy'
import { reasonToSkip } from './skipped-statements'
import { isDefinition, type StatementFacts, statementFacts } from './statement-facts'
import { whyNoEntity } from './table-entity'

export interface Finding {
  readonly file: string
  readonly line: number
  readonly text: string
  readonly kind: StatementFacts['kind']
  readonly verdict: Verdict | { readonly kind: 'left out'; readonly why: string }
}

/** What scripts leave behind for those that run after them on the same database. */
export interface ScriptState {
  readonly placements: Map<string, Placement>
  readonly definitions: string[]
}

export interface ScriptOptions extends ScriptState {
  readonly runner: QueryRunner
  readonly client: PoolClient
  readonly servers: readonly string[]
  /** Of the regression suite. */
  readonly folder: string
}

const escaped = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)

/** Runs a script on the plain database and compares its queries with what shards answer. */
export class ScriptRun {
  readonly #options: ScriptOptions
  readonly #file: string
  readonly #text: string
  readonly #variables: Map<string, string>
  readonly findings: Finding[] = []
  #isWorker = false
  #isInTransaction = false
  #tables: readonly ScriptTable[] | undefined
  #copy: { readonly fingerprint: string; readonly copy: ShardedCopy } | undefined
  /** Of copies that could not be made, why. */
  readonly #failures = new Map<string, string>()

  constructor(options: ScriptOptions, file: string, text: string) {
    this.#options = options
    this.#file = file
    this.#text = text
    this.#variables = new Map([['abs_srcdir', options.folder]])
  }

  /** @param isMeasured false for scripts that only make tables */
  async run(isMeasured: boolean): Promise<void> {
    for (const item of readScript(this.#text, this.#variables)) {
      if (item.kind === 'connect') this.#isWorker = item.isWorker
      else if (!this.#isWorker) await this.#item(item, isMeasured)
    }
  }

  async close(): Promise<void> {
    await this.#copy?.copy.close()
    this.#copy = undefined
  }

  async #item(item: Exclude<ScriptItem, { kind: 'connect' }>, isMeasured: boolean): Promise<void> {
    if (item.kind === 'copy') {
      const source = 'file' in item.rows ? createReadStream(item.rows.file) : Readable.from([item.rows.text])
      const options = item.options.replace(/,?\s*append_to_shard\s+\d+/i, '')
      const text = `COPY ${item.target} FROM STDIN ${options}`
      await this.#tried(() => pipeline(source, this.#options.client.query(copyFrom(text))))
      return
    }
    const statement = parseStatement(item.text)?.statements[0]
    if (item.kind === 'store') {
      const rows = (await this.#tried(() => this.#options.client.query(item.text)))?.rows ?? []
      for (const [name, value] of Object.entries(rows[0] ?? {}))
        this.#variables.set(item.prefix + name, value === true ? 't' : value === false ? 'f' : String(value ?? ''))
      return
    }
    if (!statement) return
    const facts = statementFacts(statement)
    if (!isMeasured || facts.kind === 'other' || facts.relations.length === 0)
      return this.#execute(item.text, statement)
    const why = await this.#reason(facts)
    if (why !== undefined) await this.#execute(item.text, statement)
    const verdict =
      why === undefined ? await this.#measure(item.text, statement, facts) : ({ kind: 'left out', why } as const)
    this.findings.push({ file: this.#file, line: item.line, text: item.text, kind: facts.kind, verdict })
  }

  /** Does what may fail, as scripts mean some of their statements to, without the end of the transaction. */
  async #tried<T>(work: () => Promise<T>): Promise<T | undefined> {
    const { client } = this.#options
    if (this.#isInTransaction) await client.query('SAVEPOINT tried')
    try {
      const done = await work()
      if (this.#isInTransaction) await client.query('RELEASE SAVEPOINT tried')
      return done
    } catch {
      if (this.#isInTransaction) await client.query('ROLLBACK TO SAVEPOINT tried').catch(() => undefined)
      return undefined
    }
  }

  /** Runs a statement that is not compared. */
  async #execute(text: string, statement: Node): Promise<void> {
    const { client, placements, definitions } = this.#options
    this.#tables = undefined
    for (const { table, placement } of placementCalls(statement)) {
      const { rows } = (await this.#tried(() => client.query('SELECT to_regclass($1)::oid::text AS oid', [table]))) ?? {
        rows: [],
      }
      const oid: string | null | undefined = rows[0]?.oid
      if (oid && placement) placements.set(oid, placement)
      else if (oid) placements.delete(oid)
    }
    for (const inner of commandsForAll(statement)) {
      const parsed = parseStatement(inner)?.statements[0]
      if (parsed) await this.#execute(inner, parsed)
    }
    if (isNode(statement, 'TransactionStmt')) {
      const { kind } = statement.TransactionStmt
      await client.query(text).catch(() => undefined)
      if (kind === 'TRANS_STMT_BEGIN' || kind === 'TRANS_STMT_START') this.#isInTransaction = true
      if (kind === 'TRANS_STMT_COMMIT' || kind === 'TRANS_STMT_ROLLBACK') this.#isInTransaction = false
      return
    }
    const done = await this.#tried(() => client.query(text))
    if (done && isDefinition(statement)) definitions.push(await this.#withoutSchemas(text))
  }

  async #knownTables(): Promise<readonly ScriptTable[]> {
    this.#tables ??= await scriptTables(this.#options.client)
    return this.#tables
  }

  async #tableOf({ schemaname, relname }: { schemaname?: string; relname?: string }): Promise<ScriptTable | undefined> {
    const tables = await this.#knownTables()
    return tables.find(
      (table) => table.name === relname && (schemaname ? table.schema === schemaname : table.isVisible),
    )
  }

  /** In the copy all tables stand in one schema. */
  async #withoutSchemas(text: string): Promise<string> {
    const { rows } = await this.#options.client.query<{ name: string }>(
      `SELECT nspname AS name FROM pg_namespace WHERE nspname NOT IN ('public', 'pg_catalog', 'information_schema') AND nspname NOT LIKE 'pg\\_%'`,
    )
    return rows.reduce(
      (said, { name }) =>
        said.replaceAll(new RegExp(String.raw`(?<![\w.'"])"?${escaped(name)}"?\s*\.\s*(?=["\w])`, 'gi'), ''),
      text,
    )
  }

  async #reason(facts: StatementFacts): Promise<string | undefined> {
    return reasonToSkip(facts, {
      client: this.#options.client,
      tables: await this.#knownTables(),
      tableOf: (name) => this.#tableOf(name),
    })
  }

  /** The tables of the statement, copied, with their present rows. */
  async #prepared(tables: readonly ScriptTable[]): Promise<ShardedCopy> {
    const known = (await this.#knownTables()).filter(
      (table) =>
        whyNoEntity(table, this.#options.placements.get(table.oid)) === undefined &&
        new RegExp(String.raw`\b${escaped(table.name)}\b`).test(this.#text),
    )
    const chosen = known.filter(
      (table) => table.isVisible || !known.some((other) => other !== table && other.name === table.name),
    )
    const copy = await this.#copyOf(chosen).catch((error: unknown) => {
      if (tables.length === chosen.length) throw error
      return this.#copyOf(tables)
    })
    for (const table of tables) {
      if (!copy.has(table.oid)) throw new Error(`Two tables have the name ${table.name}.`)
      await copy.copyRows(this.#options.client, table.oid)
    }
    return copy
  }

  async #copyOf(tables: readonly ScriptTable[]): Promise<ShardedCopy> {
    const { placements, definitions, servers } = this.#options
    const fingerprint = JSON.stringify([tables, tables.map(({ oid }) => placements.get(oid)), definitions.length])
    if (this.#copy?.fingerprint === fingerprint) return this.#copy.copy
    const failure = this.#failures.get(fingerprint)
    if (failure !== undefined) throw new Error(failure)
    await this.close()
    try {
      const copy = await ShardedCopy.make({ tables, placements, definitions, servers })
      this.#copy = { fingerprint, copy }
      return copy
    } catch (error) {
      this.#failures.set(fingerprint, `the copy could not be made: ${String(error).slice(0, 300)}`)
      throw new Error(this.#failures.get(fingerprint))
    }
  }

  async #measure(text: string, statement: Node, facts: StatementFacts): Promise<Finding['verdict']> {
    const tables = await this.#all(facts.relations)
    const targets = await this.#all(facts.targets)
    for (const table of tables) {
      const why = whyNoEntity(table, this.#options.placements.get(table.oid))
      if (why === undefined) continue
      await this.#execute(text, statement)
      return { kind: 'left out', why: `a table that can be no entity: ${why}` }
    }
    if (targets.some(({ oid, primaryKey }) => !primaryKey && this.#options.placements.get(oid)?.kind === 'reference')) {
      await this.#execute(text, statement)
      return { kind: 'left out', why: 'writes a reference table without a primary key, which no entity is' }
    }
    let copy: ShardedCopy
    try {
      copy = await this.#prepared(tables)
    } catch (error) {
      await this.#execute(text, statement)
      return { kind: 'left out', why: String(error instanceof Error ? error.message : error) }
    }
    const { client } = this.#options
    await client.query(this.#isInTransaction ? 'SAVEPOINT measured' : 'BEGIN; SAVEPOINT measured')
    try {
      const bareText = await this.#withoutSchemas(text)
      const plain = await this.#plainAnswer(text, targets)
      const sharded = await this.#shardedAnswer(copy, bareText, targets)
      if (plain.kind === 'error') await client.query('ROLLBACK TO SAVEPOINT measured')
      if (plain.kind === 'error' && plain.code === '42883')
        return { kind: 'left out', why: 'calls a function of Citus' }
      if (plain.kind === 'error' && plain.code === '57014') return { kind: 'left out', why: 'takes too long' }
      if (plain.kind === 'error' && plain.code === '23503')
        return { kind: 'left out', why: 'fails by a foreign key, which copies have none of' }
      const others = async (): Promise<readonly Answer[]> => {
        const answers: Answer[] = []
        for (const setting of shuffles) {
          await client.query('ROLLBACK TO SAVEPOINT measured')
          await this.#shuffle(tables, setting)
          answers.push(await this.#plainAnswer(text, targets))
        }
        await client.query('ROLLBACK TO SAVEPOINT measured')
        if (plain.kind === 'rows') await client.query(text)
        return answers
      }
      return await compareAnswers(plain, sharded, { statement, others })
    } finally {
      await client.query(this.#isInTransaction ? 'RELEASE SAVEPOINT measured' : 'COMMIT')
    }
  }

  /** The tables among names, each once. */
  async #all(names: readonly { schemaname?: string; relname?: string }[]): Promise<readonly ScriptTable[]> {
    const tables = await Promise.all(names.map((name) => this.#tableOf(name)))
    return [...new Set(tables.flatMap((table) => table ?? []))]
  }

  async #plainAnswer(text: string, targets: readonly ScriptTable[]): Promise<Answer> {
    const { runner, client } = this.#options
    const contents: string[] = []
    try {
      const rows = await runner.query(text)
      for (const table of targets) contents.push(...(await plainContents(client, table)))
      return { kind: 'rows', rows: Array.isArray(rows) ? rows : [], contents }
    } catch (error) {
      return errorAnswer(error)
    }
  }

  async #shardedAnswer(copy: ShardedCopy, text: string, targets: readonly ScriptTable[]): Promise<Answer> {
    const contents: string[] = []
    try {
      const rows = await copy.dataSource.query(text)
      for (const { oid } of targets) contents.push(...(await copy.contents(oid)))
      return { kind: 'rows', rows: Array.isArray(rows) ? rows : [], contents }
    } catch (error) {
      for (const { oid } of targets) await copy.contents(oid)
      return errorAnswer(error)
    }
  }

  /** Gives the rows of the tables other places on the disk. */
  async #shuffle(tables: readonly ScriptTable[], setting: string): Promise<void> {
    const { client } = this.#options
    await client.query(`SET LOCAL session_replication_role = replica; ${setting}`)
    for (const { schema, name, columns } of tables) {
      const path = `"${schema}"."${name}"`
      const list = columns.filter(({ isGenerated }) => !isGenerated).map((column) => `"${column.name}"`)
      await client.query(
        `CREATE TEMP TABLE shuffled AS SELECT * FROM ${path} ORDER BY random(); DELETE FROM ${path};
         INSERT INTO ${path} (${list}) OVERRIDING SYSTEM VALUE SELECT ${list} FROM shuffled; DROP TABLE shuffled`,
      )
    }
  }
}

const shuffles = [
  '',
  '',
  'SET LOCAL enable_hashagg = off',
  'SET LOCAL enable_sort = off',
  'SET LOCAL enable_hashjoin = off',
  'SET LOCAL enable_nestloop = off; SET LOCAL enable_mergejoin = off',
]

const errorAnswer = (error: unknown): Answer => {
  if (error instanceof ShardedError) {
    const message = error.message.replace(` ${error.fix} [${error.code}]`, '')
    return { kind: 'error', code: error.code, message, isCoded: true }
  }
  const { code = 'none', message = '' } = error as { code?: string; message?: string } // What pg and TypeORM throw.
  return { kind: 'error', code, message, isCoded: false }
}

/** The texts that a statement has Citus run on all nodes. */
function commandsForAll(statement: Node): readonly string[] {
  const texts: string[] = []
  visit(statement, (object) => {
    if (
      !isNode(object, 'FuncCall') ||
      !/^run_command_on_(?:master_and_workers|all_nodes|coordinator)/.test(
        namesOf(object.FuncCall.funcname)?.at(-1) ?? '',
      )
    )
      return
    const [first] = object.FuncCall.args ?? []
    const text = first && 'A_Const' in first ? first.A_Const.sval?.sval : undefined
    if (text !== undefined) texts.push(text)
  })
  return texts
}
