import {
  Column,
  type DataSource,
  Entity,
  JoinTable,
  ManyToMany,
  ManyToOne,
  OneToMany,
  PrimaryColumn,
  PrimaryGeneratedColumn,
  type Relation,
} from 'typeorm'
import { hash, ReferenceTable, Sharded, ShardKey } from '../../src/index'

@Entity()
@ReferenceTable()
export class Currency {
  @PrimaryGeneratedColumn() id!: number
  @Column('text', { unique: true }) code!: string
  @Column({ type: 'enum', enum: ['hard', 'soft'], default: 'soft' }) kind!: 'hard' | 'soft'
  @Column('numeric', { precision: 12, scale: 4, default: 1 }) rate!: string
  @Column('timestamptz', { default: () => 'clock_timestamp()' }) madeAt!: Date
  @Column('json', { nullable: true }) facts!: object | null
  @Column('text', { array: true, nullable: true }) names!: string[] | null
  @Column({ type: 'text', generatedType: 'STORED', asExpression: 'lower("code")', nullable: true }) lowered!: string
}

@Entity()
@ReferenceTable()
export class Country {
  @PrimaryColumn('varchar', { length: 2 }) code!: string
  @Column('text') name!: string
  @Column('int', { default: 0 }) people!: number
  @ManyToOne(() => Currency, { nullable: true, onDelete: 'SET NULL', cascade: ['insert'] })
  currency!: Relation<Currency> | null
  @ManyToOne(() => Country, { nullable: true, onDelete: 'CASCADE' }) part!: Relation<Country> | null
  @OneToMany(
    () => Customer,
    ({ country }) => country,
  )
  customers!: Relation<Customer>[]
  @OneToMany(
    () => Office,
    ({ country }) => country,
  )
  offices!: Relation<Office>[]
}

@Entity()
@ReferenceTable()
export class Label {
  @PrimaryColumn('int') id!: number
  @Column('text') text!: string
}

@Entity()
@Sharded(hash({ shards: 2 }))
export class Customer {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('text') name!: string
  @ManyToOne(
    () => Country,
    ({ customers }) => customers,
    { nullable: true, cascade: ['insert', 'update'] },
  )
  country!: Relation<Country> | null
  @ManyToMany(() => Label) @JoinTable() labels!: Relation<Label>[]
  @OneToMany(
    () => Sale,
    ({ customer }) => customer,
  )
  sales!: Relation<Sale>[]
}

@Entity()
@Sharded({ colocatedWith: () => Customer })
export class Sale {
  @PrimaryColumn('int') id!: number
  @ShardKey() @PrimaryColumn('int') customerId!: number
  @Column('int') total!: number
  @ManyToOne(
    () => Customer,
    ({ sales }) => sales,
  )
  customer!: Relation<Customer>
  @ManyToOne(() => Currency, { nullable: true, eager: true, onDelete: 'CASCADE' }) currency!: Relation<Currency> | null
}

/** Lives on the home node. */
@Entity()
export class Office {
  @PrimaryColumn('int') id!: number
  @ManyToOne(
    () => Country,
    ({ offices }) => offices,
    { nullable: true },
  )
  country!: Relation<Country> | null
}

export const referenceEntities = [Currency, Country, Label, Customer, Sale, Office]

const at = (second: number) => new Date(Date.UTC(2026, 0, 1, 0, 0, second))

export const currencies = ['EUR', 'USD', 'BTC', 'XXX'].map((code, index) => ({
  code,
  kind: index === 2 ? ('soft' as const) : ('hard' as const),
  rate: `${index + 1}.2500`,
  madeAt: at(index),
  facts: index === 0 ? { zone: 'euro' } : null,
  names: index === 1 ? ['dollar', 'buck "s"'] : null,
}))

export const countries = [
  { code: 'DE', name: 'Deutschland', people: 83, currency: { id: 1 }, part: null },
  { code: 'FR', name: 'France', people: 68, currency: { id: 1 }, part: null },
  { code: 'US', name: 'United States', people: 340, currency: { id: 2 }, part: null },
  { code: 'AQ', name: 'Antarctica', people: 0, currency: null, part: null },
  { code: 'BY', name: 'Bayern', people: 13, currency: { id: 1 }, part: { code: 'DE' } },
]

/** Every sixth has no country; nobody is of AQ or BY. */
export const customers = Array.from({ length: 24 }, (_, index) => ({
  id: index + 1,
  name: `customer ${String.fromCharCode(97 + ((index * 7) % 26))}`,
  country: index % 6 === 5 ? null : { code: ['DE', 'FR', 'US'][index % 3] ?? 'DE' },
  labels: [1, 2, 3].filter((id) => (index + id) % 4 === 0).map((id) => ({ id })),
}))

export const sales = Array.from({ length: 50 }, (_, index) => ({
  id: index + 1,
  customerId: (index % 24) + 1,
  total: (index * 37) % 100,
  currency: index % 5 === 4 ? null : { id: (index % 3) + 1 },
}))

export async function seedReferences(dataSource: DataSource): Promise<void> {
  await dataSource.query(`SELECT setval('currency_id_seq', 1, false)`)
  await dataSource.getRepository(Currency).insert(currencies.map((one) => ({ ...one })))
  await dataSource.getRepository(Country).insert(countries.map((one) => ({ ...one })))
  await dataSource.getRepository(Label).insert([1, 2, 3, 4].map((id) => ({ id, text: `label ${id}` })))
  await dataSource.getRepository(Customer).save(customers.map((one) => ({ ...one })))
  await dataSource.getRepository(Sale).save(sales.map((one) => ({ ...one })))
  await dataSource.getRepository(Office).save([
    { id: 1, country: { code: 'DE' } },
    { id: 2, country: { code: 'AQ' } },
    { id: 3, country: null },
  ])
}
