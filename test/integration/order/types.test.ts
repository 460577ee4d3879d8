import fc from 'fast-check'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { NodePool } from '../../../src/endpoints/node-pool'
import { mergeInOrder } from '../../../src/execution/merge-in-order'
import type { Row } from '../../../src/merging/row'
import type { NodeSortFacts } from '../../../src/query/node-sort-facts'
import type { OrderTerm } from '../../../src/query/order-term'
import { type SortForm, sortForm, type ValueType } from '../../../src/query/sort-form'
import { freshDatabases } from '../../support/fresh-databases'
import { libcCollations } from '../../support/locales'
import { collatedTypes, collatedValues, typedValues } from './typed-values'

interface Direction {
  readonly descending: boolean
  readonly nullsFirst: boolean
}

const directions: fc.Arbitrary<Direction> = fc.record({ descending: fc.boolean(), nullsFirst: fc.boolean() })

const setUp = `
  CREATE EXTENSION citext;
  CREATE TYPE mood AS ENUM ('zeta', 'alpha', 'Mid', 'beta 2');
  CREATE DOMAIN positive AS bigint CHECK (VALUE >= 0);
  CREATE DOMAIN label AS text;
  CREATE TYPE pair AS (n int, word text);
  CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
  CREATE COLLATION noaccent (provider = icu, locale = 'und-u-ks-level1-kc-true', deterministic = false);
  CREATE COLLATION "ICU numeric" (provider = icu, locale = 'en-u-kn-true');`

const icuCollations = [
  '"C"',
  '"POSIX"',
  '"ucs_basic"',
  '"default"',
  '"sv-x-icu"',
  '"zh-x-icu"',
  'nocase',
  'noaccent',
  '"ICU numeric"',
]

describe('every type, merged of three sources, is in the order of one database', () => {
  let client: Client
  let pool: NodePool
  let drop: () => Promise<void>
  let facts: readonly NodeSortFacts[]
  let collations: readonly string[]

  beforeAll(async () => {
    const databases = await freshDatabases(inject('adminUrls'), 1)
    drop = databases.drop
    const [connectionString = ''] = databases.nodes
    client = new Client({ connectionString })
    await client.connect()
    await client.query(setUp)
    collations = [...icuCollations, ...(await libcCollations(client)).values()]
    pool = new NodePool({ name: 'n', pool: { connectionString }, maxPrepared: 0, onPoolError: () => undefined })
    facts = [await pool.loadSortFacts(collations)]
  })
  afterAll(async () => {
    await pool?.end()
    await client?.end()
    await drop?.()
  })

  const ask = async (text: string, parameters: readonly unknown[]): Promise<readonly Row[]> =>
    (await client.query(text, [...parameters])).rows

  const sources = async (type: ValueType, form: SortForm, values: readonly (string | null)[], order: string) => {
    const expression = type.collation === undefined ? 'x' : `(x COLLATE ${type.collation})`
    const cast = type.name === 'bit[]' ? '"bit"[]' : type.name
    const rows = `(SELECT i::int4 AS id, v::${cast} AS x FROM unnest($1::text[]) WITH ORDINALITY AS u(v, i)) AS t`
    const columns = `id, ${form.comparable?.(expression) ?? expression} AS k, ${form.witness?.sql(expression) ?? 'NULL'} AS w`
    const arms: (readonly Row[])[] = []
    for (const index of [0, 1, 2])
      arms.push(
        await ask(`SELECT ${columns} FROM ${rows} WHERE id % 3 = ${index} ORDER BY ${expression} ${order}, id`, [
          values,
        ]),
      )
    const all = await ask(`SELECT id FROM ${rows} ORDER BY ${expression} ${order}, id`, [values])
    return { arms, expected: all.map((row) => row['id']) }
  }

  const check = async (type: ValueType, values: readonly (string | null)[], { descending, nullsFirst }: Direction) => {
    const form = sortForm(type, facts)
    const order = `${descending ? 'DESC' : 'ASC'} NULLS ${nullsFirst ? 'FIRST' : 'LAST'}`
    const { arms, expected } = await sources(type, form, values, order)
    const term: OrderTerm = {
      column: 'k',
      nodeColumn: 'k',
      kind: form.kind,
      descending,
      nullsFirst,
      form,
      name: type.name,
      details: {},
      type,
      witness: form.witness && 'w',
    }
    const id: OrderTerm = {
      ...term,
      column: 'id',
      kind: 'integer',
      descending: false,
      nullsFirst: false,
      form: { kind: 'integer', rankBy: 'v' },
      name: 'id',
      type: { name: 'integer', kind: 'base', collation: undefined },
      witness: undefined,
    }
    const factsWith = () => Promise.reject(new Error('The form was not right at once.'))
    const shard = { name: 'a', group: 'a', label: 'a', index: 0, node: 'n', layout: 'schema' } as const
    const merged = await mergeInOrder(arms, [term, id], { offset: 0, limit: undefined }, { ask, shard, factsWith })
    expect(merged.map((row) => row['id'])).toEqual(expected)
  }

  const property = (type: ValueType, values: fc.Arbitrary<string>, numRuns: number) =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.option(values, { freq: 8 }), { minLength: 2, maxLength: 60, size: 'max' }),
        directions,
        (some, direction) => check(type, some, direction),
      ),
      { numRuns, interruptAfterTimeLimit: 60_000 },
    )

  it.each(typedValues)(
    '$name',
    ({ name, kind, values }) => property({ name, kind: kind ?? 'base', collation: undefined }, values, 12),
    90_000,
  )

  it.each(collatedTypes)(
    '%s under every collation',
    async (name) => {
      for (const collation of collations) {
        const kind = name === 'label' ? ('domain' as const) : ('base' as const)
        await property({ name, kind, collation }, collatedValues(name), 6)
      }
    },
    90_000,
  )

  it('name, whose collation is C', () =>
    property({ name: 'name', kind: 'base', collation: '"C"' }, collatedValues('text'), 12))

  it('compares here what it can, and asks the database for the rest', () => {
    const kindOf = (name: string, collation?: string) => sortForm({ name, kind: 'base', collation }, facts).kind
    expect(['text', 'character varying', 'bpchar'].map((name) => kindOf(name, '"C"'))).toEqual(
      Array(3).fill('codepoints'),
    )
    expect(['"POSIX"', '"ucs_basic"', 'pg_catalog."C"'].map((collation) => kindOf('text', collation))).toEqual(
      Array(3).fill('codepoints'),
    )
    expect(['"sv-x-icu"', 'nocase', '"ICU numeric"'].map((collation) => kindOf('text', collation))).toEqual(
      Array(3).fill('ranked'),
    )
    expect(
      ['bigint', 'numeric', 'interval', 'time with time zone', 'inet', 'money'].map((name) => kindOf(name)),
    ).not.toContain('ranked')
  })
})
