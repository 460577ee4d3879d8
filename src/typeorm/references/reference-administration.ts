import { alone } from '../../catalog/own-table'
import type { NodePool } from '../../endpoints/node-pool'
import { sqlState, undefinedTable } from '../../endpoints/sql-state'
import { ShardedError } from '../../errors/sharded-error'
import {
  askState,
  askVersions,
  createOwn,
  createTriggers,
  dropTriggers,
  forgetVersions,
  markOwn,
  newVersion,
  stampOf,
} from '../../references/reference-sql'
import { quoted } from '../../values/quoted'
import { pathOn, type ReferenceTable } from '../binding/references'
import type { ShardRuntime } from '../runners/shard-runtime'
import type { ShardTransaction } from '../runners/shard-transaction'
import { copyReferences } from './copy-references'
import { seedReference, type TableSeed } from './seed-reference'
import { compareReferences, type ReferenceReport } from './verify-references'

interface AdministrationSettings {
  readonly runtime: ShardRuntime
  readonly openRunner: () => ShardTransaction
  /** The names of unsharded entities' tables, as reference tables have them. */
  readonly unsharded: ReadonlySet<string>
  /** What tables have from their beginning, by their names. */
  readonly seeds: ReadonlyMap<string, TableSeed>
}

/** What a node has of one reference table. */
interface TableState {
  readonly name: string
  readonly isTable: boolean
  readonly hasTriggers: boolean
  /** With their types, by name; undefined where there is no table. */
  readonly columns: readonly string[] | undefined
  /** The names of the columns in the table's order. */
  readonly placed: readonly string[] | undefined
}

interface NodeState {
  readonly tables: ReadonlyMap<string, TableState>
  readonly versions: ReadonlyMap<string, string>
  /** Of the tables and functions of our own. */
  readonly stamp: string | undefined
}

/** What a data source does to its reference tables as a whole; where there are none, nothing but leftovers is looked for. */
export class ReferenceAdministration {
  constructor(private readonly settings: AdministrationSettings) {}

  private get all(): readonly ReferenceTable[] {
    return this.settings.runtime.references.all
  }

  /**
   * At a start: copies that are not what the home node has are made equal to it. Where the tables were never installed, the schema
   * is still to be made.
   *
   * @throws ShardedError REFERENCE_OUTDATED where a copy cannot be
   */
  async load(openRunner = this.settings.openRunner): Promise<void> {
    if (this.all.length === 0) return
    const { runtime } = this.settings
    const { home } = runtime.map
    const states = await this.statesOf(runtime.nodes.filter((node) => !runtime.pool(node).isAbsent))
    this.noteOrders(states)
    if (runtime.pool(home).isAbsent) return refuseUnlike(states, this.all)
    const installed = this.all.filter(({ name }) => isInstalled(states.get(home), name))
    if (installed.length === 0) return
    // Functions of another version of this package.
    for (const [node, { stamp }] of states)
      if (stamp !== stampOf(runtime.searchSchemaOf(node))) await this.install(runtime.pool(node))
    await this.refresh(states, installed, openRunner)
  }

  /** Makes what nodes need for the tables that they have, and copies what is not equal: after the schema was made. */
  async build(): Promise<void> {
    const { runtime } = this.settings
    await this.release()
    if (this.all.length === 0) return
    const { home } = runtime.map
    await Promise.all(runtime.nodes.map((node) => this.install(runtime.pool(node))))
    const states = await this.statesOf()
    const missing = this.all.filter(({ name }) => !states.get(home)?.tables.get(name)?.isTable)
    if (missing.length > 0)
      throw new ShardedError(
        'REFERENCE_NOT_INSTALLED',
        `Node ${home} has no tables ${missing.map(({ name }) => name).join(', ')}.`,
        { details: { node: home, tables: missing.map(({ name }) => name) } },
      )
    this.noteOrders(states)
    await this.refresh(states, this.all, this.settings.openRunner)
    // A column that was added with a default that each node computed has other values on each.
    await this.verify(true)
    const { openRunner, seeds } = this.settings
    // A row may refer to those of a table before its own.
    for (const { name } of this.all) await seedReference(runtime, openRunner, seeds.get(name))
  }

  /** See `ShardedDataSource.verifyReferenceTables`. */
  async verify(repair: boolean): Promise<readonly ReferenceReport[]> {
    const { openRunner, runtime } = this.settings
    const reports = await this.installed(() => compareReferences(runtime, openRunner))
    const unequal = reports.filter(({ equal }) => !equal)
    if (!repair || unequal.length === 0) return reports
    const nodes = [...new Set(unequal.map(({ node }) => node))]
    const tables = this.all.filter(({ name }) => unequal.some(({ table }) => table === name))
    await Promise.all(nodes.map((node) => this.install(runtime.pool(node))))
    for (const node of nodes) await copyReferences(runtime, openRunner, { node, tables })
    return reports
  }

  /** @throws ShardedError REFERENCE_NOT_INSTALLED where a node has no tables of our own, or no copy */
  private async installed<T>(work: () => Promise<T>): Promise<T> {
    const found = await ifThere(work)
    if (found !== undefined) return found
    const tables = this.all.map(({ name }) => name)
    throw new ShardedError(
      'REFERENCE_NOT_INSTALLED',
      `Not all nodes have copies of ${tables.join(', ')} that are kept.`,
      {
        details: { tables },
      },
    )
  }

  /** Their tables are about to go, on all nodes. */
  async drop(): Promise<void> {
    const { runtime } = this.settings
    const names = this.all.map(({ name }) => name)
    if (names.length === 0) return
    for (const node of runtime.nodes)
      await ifThere(() => runtime.pool(node).query(forgetVersions(runtime.searchSchemaOf(node)), [names]))
  }

  /**
   * Tables that are declared as reference tables no more are the home node's alone again: it may write them, and copies go. A copy that
   * something else still refers to stays, and is never read.
   */
  private async release(): Promise<void> {
    const { runtime, unsharded } = this.settings
    const { home } = runtime.map
    const stored = await versionsOf(runtime.pool(home))
    const released = [...stored.keys()].filter((name) => unsharded.has(name))
    for (const name of released) {
      for (const node of [...runtime.nodes].sort((a, b) => Number(a === home) - Number(b === home))) {
        const pool = runtime.pool(node)
        const path = storedPath(name, runtime.searchSchemaOf(node))
        try {
          await ifThere(() => pool.query(node === home ? dropTriggers(path) : `DROP TABLE ${path}`))
        } catch (error) {
          runtime.warn(`Node ${node} keeps its copy of ${name}, which is no reference table any more. ${error}`)
        }
        await ifThere(() => pool.query(forgetVersions(runtime.searchSchemaOf(node)), [[name]]))
      }
    }
  }

  /** A statement that means columns by their places is not answered from a copy that has them in another order. */
  private noteOrders(states: ReadonlyMap<string, NodeState>): void {
    const orders = (name: string) =>
      new Set([...states.values()].flatMap(({ tables }) => tables.get(name)?.placed?.join(', ') ?? []))
    this.settings.runtime.references.setUnlike(
      this.all.filter(({ name }) => orders(name).size > 1).map(({ name }) => name),
    )
  }

  private async refresh(
    states: ReadonlyMap<string, NodeState>,
    tables: readonly ReferenceTable[],
    openRunner: AdministrationSettings['openRunner'],
  ): Promise<void> {
    const { runtime } = this.settings
    const { home } = runtime.map
    const atHome = states.get(home)
    for (const node of runtime.nodes) {
      const state = states.get(node)
      if (node === home || !state) continue
      const old = tables.filter(({ name }) => !isCurrent(state, name, atHome))
      if (old.length === 0) continue
      for (const { name } of old) refuseOther(node, state.tables.get(name), atHome?.tables.get(name))
      await this.install(runtime.pool(node))
      await copyReferences(runtime, openRunner, { node, tables: old })
    }
  }

  /**
   * Makes on a node what is missing. A table that had no triggers may have been changed by anybody: at home it is a new version, and
   * elsewhere a copy of none.
   */
  private async install(pool: NodePool): Promise<void> {
    const { runtime } = this.settings
    const schema = runtime.searchSchemaOf(pool.name)
    const isHome = pool.name === runtime.map.home
    let state = await this.stateOf(pool)
    if (state.stamp !== stampOf(schema)) {
      await pool.query(alone(`${createOwn(schema)} ${markOwn(schema)}`))
      state = await this.stateOf(pool)
    }
    const bare = this.all.filter(({ name }) => {
      const table = state.tables.get(name)
      return table?.isTable === true && (!table.hasTriggers || (isHome && !state.versions.has(name)))
    })
    if (bare.length === 0) return
    const names = bare.map(({ name }) => name)
    // Before the triggers: who ends here finds no triggers, and begins anew.
    await pool.query((isHome ? newVersion : forgetVersions)(schema), [names])
    for (const table of bare)
      await pool.query(createTriggers(schema, { name: table.name, path: pathOn(table, schema) }))
  }

  private async statesOf(nodes = this.settings.runtime.nodes): Promise<ReadonlyMap<string, NodeState>> {
    const { runtime } = this.settings
    const states = await Promise.all(nodes.map(async (node) => [node, await this.stateOf(runtime.pool(node))] as const))
    return new Map(states)
  }

  private async stateOf(pool: NodePool): Promise<NodeState> {
    const schema = this.settings.runtime.searchSchemaOf(pool.name)
    const lists = [this.all.map(({ name }) => name), this.all.map((table) => pathOn(table, schema))]
    const { rows } = await pool.query(askState(schema), lists)
    const tables = rows.map((row): readonly [string, TableState] => {
      const listOf = (value: unknown) => (Array.isArray(value) ? value.map(String) : undefined)
      const [columns, placed] = [listOf(row['columns']), listOf(row['placed'])]
      const { name, isTable, hasTriggers } = row
      return [
        String(name),
        { name: String(name), isTable: isTable === true, hasTriggers: hasTriggers === true, columns, placed },
      ]
    })
    const stamp = rows[0]?.['stamp']
    return {
      tables: new Map(tables),
      versions: await versionsOf(pool),
      stamp: typeof stamp === 'string' ? stamp : undefined,
    }
  }
}

const isInstalled = (state: NodeState | undefined, name: string): boolean =>
  state?.versions.has(name) === true && state.tables.get(name)?.hasTriggers === true

const isCurrent = (state: NodeState, name: string, atHome: NodeState | undefined): boolean =>
  isInstalled(state, name) && state.versions.get(name) === atHome?.versions.get(name)

/**
 * Where the home node cannot be asked, copies of one version are taken for what it has: a write of it is one transaction on all nodes.
 *
 * @throws ShardedError REFERENCE_OUTDATED
 */
function refuseUnlike(states: ReadonlyMap<string, NodeState>, tables: readonly ReferenceTable[]): void {
  const [first, ...others] = [...states]
  for (const [node, { versions }] of others)
    for (const { name } of tables)
      if (first && versions.get(name) !== first[1].versions.get(name))
        throw new ShardedError(
          'REFERENCE_OUTDATED',
          `Nodes ${first[0]} and ${node} have copies of ${name} that differ, and the home node does not answer.`,
          { details: { node, table: name } },
        )
}

/** Rows travel as texts of all their columns. @throws ShardedError REFERENCE_OUTDATED */
function refuseOther(node: string, copy: TableState | undefined, home: TableState | undefined): void {
  const [own, wanted] = [copy?.columns?.join(', '), home?.columns?.join(', ')]
  if (own !== undefined && own === wanted) return
  throw new ShardedError(
    'REFERENCE_OUTDATED',
    own === undefined
      ? `Node ${node} has no table ${copy?.name}.`
      : `Node ${node} has ${copy?.name} with the columns (${own}), and the home node with (${wanted}).`,
    { details: { node, table: copy?.name } },
  )
}

async function versionsOf(pool: NodePool): Promise<ReadonlyMap<string, string>> {
  const rows = await ifThere(async () => (await pool.query(askVersions(pool.facts.searchSchema))).rows)
  return new Map((rows ?? []).map((row) => [String(row['name']), String(row['version'])]))
}

/** @returns undefined where the table is not there */
async function ifThere<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    if (sqlState(error) === undefinedTable) return undefined
    throw error
  }
}

/** A name as it was noted has its schema before a dot, where its entity says one. */
function storedPath(name: string, searched: string): string {
  const dot = name.indexOf('.')
  return dot < 0
    ? `${quoted(searched)}.${quoted(name)}`
    : `${quoted(name.slice(0, dot))}.${quoted(name.slice(dot + 1))}`
}
