import fc from 'fast-check'
import {
  Between,
  Column,
  DataSource,
  Entity,
  type FindManyOptions,
  type FindOperator,
  In,
  IsNull,
  LessThan,
  MoreThanOrEqual,
  Not,
  PrimaryColumn,
} from 'typeorm'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { hash, Sharded, ShardedDataSource, ShardKey } from '../../src/index'
import { createDatabases } from '../support/databases'
import type { FreshDatabases } from '../support/fresh-databases'

const moods = ['zeta', 'alpha', 'mid'] as const

@Entity()
@Sharded(hash({ shards: 5 }))
class Note {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('int', { nullable: true }) rank!: number | null
  @Column('text') word!: string
  @Column('numeric', { nullable: true }) amount!: string | null
  @Column('timestamptz') at!: Date
  @Column('enum', { enum: moods }) mood!: (typeof moods)[number]
}

const words = ['apfel', 'Äpfel', 'zebra', 'öl', 'Zoo', 'abc', 'ABC', '']
const notes = Array.from(
  { length: 240 },
  (_, id): Note => ({
    id,
    rank: id % 7 === 0 ? null : (id * 37) % 50,
    word: words[(id * 5) % words.length] ?? '',
    amount: id % 11 === 0 ? null : `${(id * 13) % 30}.${id % 4}0`,
    at: new Date(Date.UTC(2024, 0, 1, 0, 0, (id * 17) % 90)),
    mood: moods[id % 3] ?? 'mid',
  }),
)

type Name = 'id' | 'rank' | 'word' | 'amount' | 'at' | 'mood'

/** One condition in its three forms: as a find option, and as SQL with a value for each `$`. */
interface Condition {
  readonly name: Name
  readonly operator: unknown
  readonly sql: string
  readonly values: readonly unknown[]
}

const condition = (
  name: Name,
  operator: FindOperator<unknown> | unknown,
  sql: string,
  ...values: unknown[]
): Condition => ({
  name,
  operator,
  sql,
  values,
})

const conditionArb: fc.Arbitrary<Condition> = fc.oneof(
  fc.nat(260).map((id) => condition('id', id, 'id = $', id)),
  fc.array(fc.nat(260), { maxLength: 6 }).map((ids) => condition('id', In(ids), 'id = ANY($)', ids)),
  fc.nat(50).map((rank) => condition('rank', LessThan(rank), 'rank < $', rank)),
  fc.constant(condition('rank', IsNull(), 'rank IS NULL')),
  fc.constant(condition('amount', Not(IsNull()), 'NOT(amount IS NULL)')),
  fc
    .tuple(fc.nat(20), fc.nat(30))
    .map(([from, to]) => condition('amount', Between(from, to), 'amount BETWEEN $ AND $', from, to)),
  fc.constantFrom(...words).map((word) => condition('word', Not(word), 'NOT(word = $)', word)),
  fc.constantFrom(...moods).map((mood) => condition('mood', mood, 'mood = $', mood)),
  fc
    .nat(90)
    .map((second) => new Date(Date.UTC(2024, 0, 1, 0, 0, second)))
    .map((at) => condition('at', MoreThanOrEqual(at), 'at >= $', at)),
)

interface Spec {
  readonly branches: readonly (readonly Condition[])[]
  readonly order: readonly {
    readonly name: Name
    readonly descending: boolean
    readonly nulls: 'FIRST' | 'LAST' | undefined
  }[]
  readonly take: number | undefined
  readonly skip: number | undefined
}

const specArb: fc.Arbitrary<Spec> = fc.record({
  branches: fc.array(fc.uniqueArray(conditionArb, { selector: ({ name }) => name, minLength: 1, maxLength: 3 }), {
    maxLength: 3,
  }),
  order: fc
    .uniqueArray(
      fc.record({
        name: fc.constantFrom<Name>('rank', 'word', 'amount', 'at', 'mood'),
        descending: fc.boolean(),
        nulls: fc.constantFrom('FIRST' as const, 'LAST' as const, undefined),
      }),
      { selector: ({ name }) => name, maxLength: 2 },
    )
    // Total, so that there is one right answer.
    .map((order) => [...order, { name: 'id' as const, descending: order.length % 2 === 1, nulls: undefined }]),
  take: fc.option(fc.constantFrom(0, 1, 5, 20, 100), { nil: undefined }),
  skip: fc.option(fc.constantFrom(0, 1, 7, 90, 300), { nil: undefined }),
})

/** The SQL of the conditions, with numbered parameters from `start` on. */
function numbered(sql: string, start: { number: number }): string {
  return sql.replace(/\$/g, () => `$${start.number++}`)
}

const options = ({ branches, order, take, skip }: Spec): FindManyOptions<Note> => ({
  ...(branches.length > 0 && {
    where: branches.map((all) => Object.fromEntries(all.map(({ name, operator }) => [name, operator]))) as never,
  }),
  order: Object.fromEntries(
    order.map(({ name, descending, nulls }) => [
      name,
      { direction: descending ? 'DESC' : 'ASC', ...(nulls && { nulls }) },
    ]),
  ) as never,
  ...(take !== undefined && { take }),
  ...(skip !== undefined && { skip }),
})

function built(dataSource: DataSource, { branches, order, take, skip }: Spec) {
  const builder = dataSource.getRepository(Note).createQueryBuilder('n')
  const parameters: Record<string, unknown> = {}
  const written = branches.map((all) =>
    all
      .map(({ sql, values }) => {
        let index = 0
        const named = sql.replace(/\b(id|rank|word|amount|at|mood)\b/, 'n.$1').replace(/\$/g, () => {
          const name = `p${Object.keys(parameters).length}`
          parameters[name] = values[index++]
          return `:${name}`
        })
        return `(${named})`
      })
      .join(' AND '),
  )
  if (written.length > 0) builder.where(written.map((one) => `(${one})`).join(' OR '), parameters)
  for (const { name, descending, nulls } of order)
    builder.addOrderBy(`n.${name}`, descending ? 'DESC' : 'ASC', nulls ? `NULLS ${nulls}` : undefined)
  return builder.take(take).skip(skip)
}

function statement({ branches, order, take, skip }: Spec): {
  readonly text: string
  readonly values: readonly unknown[]
} {
  const start = { number: 1 }
  const where = branches.map((all) => `(${all.map(({ sql }) => numbered(sql, start)).join(' AND ')})`).join(' OR ')
  const by = order.map(
    ({ name, descending, nulls }) => `${name} ${descending ? 'DESC' : 'ASC'}${nulls ? ` NULLS ${nulls}` : ''}`,
  )
  const page = [take === undefined ? '' : ` LIMIT ${take}`, skip === undefined ? '' : ` OFFSET ${skip}`].join('')
  return {
    text: `SELECT id, rank, word, amount, at, mood FROM note${where ? ` WHERE ${where}` : ''} ORDER BY ${by.join(', ')}${page}`,
    values: branches.flatMap((all) => all.flatMap(({ values }) => values)),
  }
}

let databases: FreshDatabases
let sharded: ShardedDataSource
let plain: DataSource

beforeAll(async () => {
  databases = await createDatabases(2)
  const nodes = Object.fromEntries(databases.nodes.map((url, index) => [`n${index}`, { url }]))
  sharded = new ShardedDataSource({ type: 'postgres', entities: [Note], nodes, synchronize: true })
  plain = new DataSource({ type: 'postgres', entities: [Note], url: databases.oracle, synchronize: true })
  for (const dataSource of [sharded, plain]) {
    await dataSource.initialize()
    await dataSource.getRepository(Note).insert(notes)
  }
})
afterAll(async () => {
  await Promise.all([sharded, plain].map((one) => one?.isInitialized && one.destroy()))
  await databases?.drop()
})

it('one meaning as find options, as a query builder and as SQL has one answer', async () => {
  await fc.assert(
    fc.asyncProperty(specArb, async (spec) => {
      const { text, values } = statement(spec)
      const expected = await plain.query(text, [...values])
      expect(await sharded.query(text, [...values])).toEqual(expected)
      const plainRows = (rows: readonly Note[]) => rows.map((row) => ({ ...row }))
      expect(plainRows(await sharded.getRepository(Note).find(options(spec)))).toEqual(expected)
      expect(plainRows(await built(sharded, spec).getMany())).toEqual(expected)
    }),
    { numRuns: 250 },
  )
}, 60_000)
