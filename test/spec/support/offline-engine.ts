import type { ObjectLiteral, SelectQueryBuilder } from 'typeorm'
import { planWrite, type WriteFacts } from '../../../src/planning/write-plan'
import { routePredicate } from '../../../src/routing/route'
import { hasOwnTypes } from '../../../src/typeorm/binding/describe-entities'
import { Lookups } from '../../../src/typeorm/binding/lookups'
import { References } from '../../../src/typeorm/binding/references'
import { buildTableCatalog } from '../../../src/typeorm/binding/table-catalog'
import { findPredicate } from '../../../src/typeorm/find/find-predicate'
import { ClockDefaults } from '../../../src/typeorm/statements/clock-defaults'
import { StatementEngine } from '../../../src/typeorm/statements/statement-engine'
import type { StatementContext } from '../../../src/typeorm/statements/statement-run'
import { criteriaArms, criteriaWhere, type WriteBuilder } from '../../../src/typeorm/writes/criteria'
import { node } from '../../unit/planning/node-facts'
import type { OfflineWorld } from './offline-world'

/** What a case says of its surroundings. */
export interface WriteSetting {
  /** Inside a transaction of the caller. */
  readonly inTransaction?: boolean
  /** Groups whose entities have lookups. */
  readonly lookups?: readonly string[]
}

/** Lookups that say no more than that there are some. */
class KeptLookups extends Lookups {
  constructor(private readonly groups: readonly string[]) {
    super([])
  }

  override maintains(group: string): boolean {
    return this.groups.includes(group)
  }
}

const facts = { ...node('a'), version: '180000', ruledTables: [] }

/** The engine of statements over shards, and a context of one call, without a database. */
export function offlineEngine(
  { map, metadatas, bindingOf, groupOf }: OfflineWorld,
  { inTransaction = false, lookups = [] }: WriteSetting,
): { readonly engine: StatementEngine; readonly context: StatementContext } {
  const runtime = {
    map,
    nodes: ['a', 'b'],
    bindingOf,
    searchSchemaOf: () => 'public',
    // No node knows of a function or a column that is not declared.
    pool: () => ({ sortFacts: facts, facts, background: { query: async () => ({ rows: [] }) } }),
    lookups: new KeptLookups(lookups),
    references: new References([]),
    rules: { of: async () => () => false },
    warn: () => undefined,
  }
  const schemas = { searched: 'public', sharded: 'public' }
  const catalog = buildTableCatalog(metadatas, { schemas, groupOf, isReference: () => false, bindingOf, map })
  // Of a runtime and of an operation, planning a write needs no more than this.
  const engine = new StatementEngine(runtime as never, catalog, new ClockDefaults(metadatas))
  const transaction = inTransaction ? {} : undefined
  const access = { runtime, transaction, waitFor: (work: Promise<unknown>) => work }
  return { engine, context: { access, home: unasked, openRunner: unasked } as never }
}

function unasked(): never {
  throw new RangeError('A plan asks no database.')
}

export type CriteriaWrite =
  | { readonly update: string; readonly where: unknown; readonly set: ObjectLiteral }
  | { readonly delete: string; readonly where: unknown }
  | { readonly softDelete: string; readonly where: unknown }
  | { readonly restore: string; readonly where: unknown }

/** The plan of a write by criteria, with the statements that TypeORM makes for its shards. */
export function criteriaPlan(world: OfflineWorld, write: CriteriaWrite, setting: WriteSetting) {
  const [kind = '', name] = Object.entries(write)[0] ?? []
  const binding = world.metadatas.map(({ target }) => world.bindingOf(target)).find((one) => one?.entity.name === name)
  if (!binding) throw new RangeError(`There is no sharded entity ${name}.`)
  const given = { criteria: write.where, isPrimitive: typeof write.where !== 'object' }
  const predicate = findPredicate(binding, criteriaWhere(binding, given), world.bindingOf)
  const { shards: indexes, reason } = routePredicate(binding, predicate)
  const shards = indexes.flatMap((index) => binding.shards[index] ?? [])
  const arms = criteriaArms(binding, {
    shards,
    write: { criteria: given, start: (builder) => startOf(builder, write, { kind, target: binding.metadata.target }) },
    bindingOf: world.bindingOf,
    builderOn: () => world.dataSource.createQueryBuilder(),
  })
  const { lookups = [], inTransaction = false } = setting
  const known: WriteFacts = {
    maintains: (group) => lookups.includes(group),
    isInTransaction: inTransaction,
    hasRules: () => false,
    maxArms: 128,
  }
  const united = { hasOwnTypes: hasOwnTypes(binding.metadata) }
  const base = { kind: 'statement', arms, united, alsoWritten: [], order: undefined } as const
  return { shards, reason, plan: planWrite({ ...base, answer: { kind: 'update' } }, known) }
}

interface Asked {
  readonly kind: string
  readonly target: unknown
}

/** As TypeORM's manager makes it. */
function startOf(
  builder: SelectQueryBuilder<ObjectLiteral>,
  write: CriteriaWrite,
  { kind, target }: Asked,
): WriteBuilder {
  const on = target as never
  if (kind === 'update') return builder.update(on).set(Reflect.get(write, 'set'))
  if (kind === 'delete') return builder.delete().from(on)
  return kind === 'restore' ? builder.restore().from(on) : builder.softDelete().from(on)
}
