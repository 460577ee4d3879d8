import { Column, type DataSource, Entity, JoinColumn, ManyToOne, PrimaryColumn, type Relation } from 'typeorm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hash, Sharded, ShardKey } from '../../src/index'
import { type OpenTargets, openTargets } from '../support/targets'

@Entity()
@Sharded(hash({ shards: 2 }))
class Tenant {
  @ShardKey() @PrimaryColumn('int') id!: number
}

@Entity()
@Sharded(hash({ shards: 2 }))
class Project {
  @ShardKey() @PrimaryColumn('int') id!: number
  @ManyToOne(() => Tenant, { onDelete: 'CASCADE' }) tenant!: Relation<Tenant>
}

@Entity()
@Sharded(hash({ shards: 2 }))
class User {
  @ShardKey() @PrimaryColumn('int') id!: number
  @ManyToOne(() => Tenant, { onDelete: 'CASCADE' }) tenant!: Relation<Tenant>
}

/** Goes with its tenant, and keeps its author from going alone. */
@Entity()
@Sharded(hash({ shards: 2 }))
class Article {
  @ShardKey() @PrimaryColumn('int') id!: number
  @ManyToOne(() => User) author!: Relation<User> | null
  @ManyToOne(() => Tenant, { onDelete: 'CASCADE' }) tenant!: Relation<Tenant> | null
}

/** The same by RESTRICT. */
@Entity()
@Sharded(hash({ shards: 2 }))
class Contract {
  @ShardKey() @PrimaryColumn('int') id!: number
  @ManyToOne(() => User, { onDelete: 'RESTRICT' }) signer!: Relation<User>
  @ManyToOne(() => Tenant, { onDelete: 'CASCADE' }) tenant!: Relation<Tenant>
}

/** Goes a level later than the user whom it refers to. */
@Entity()
@Sharded(hash({ shards: 2 }))
class Task {
  @ShardKey() @PrimaryColumn('int') id!: number
  @ManyToOne(() => User) assignee!: Relation<User> | null
  @ManyToOne(() => Project, { onDelete: 'CASCADE' }) project!: Relation<Project>
}

/** Lies with its user, and goes with its tenant: a foreign key of the shard keeps the user. */
@Entity()
@Sharded({ colocatedWith: () => User })
class Badge {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') userId!: number
  @ManyToOne(() => User) @JoinColumn({ name: 'userId' }) user!: Relation<User>
  @ManyToOne(() => Tenant, { onDelete: 'CASCADE' }) tenant!: Relation<Tenant>
}

/** Refers to rows of its own table. */
@Entity()
@Sharded(hash({ shards: 2 }))
class Step {
  @ShardKey() @PrimaryColumn('int') id!: number
  @ManyToOne(() => Step) before!: Relation<Step> | null
  @ManyToOne(() => Tenant, { onDelete: 'CASCADE' }) tenant!: Relation<Tenant>
}

const entities = [Tenant, Project, User, Article, Contract, Task, Badge, Step] as const
const groups = ['tenant', 'project', 'user', 'article', 'contract', 'task', 'step']
const tenants = [1, 2, 3, 4, 5, 6, 7, 8]

/** What tenants have beside each other; each script takes a tenant of its own. */
async function seed({ manager }: DataSource): Promise<void> {
  for (const id of tenants) {
    const tenant = { id }
    await manager.insert(Tenant, tenant)
    await manager.insert(Project, { id, tenant })
    await manager.insert(
      User,
      [id * 10, id * 10 + 1].map((user) => ({ id: user, tenant })),
    )
  }
  const [first, second, third, fourth, fifth, sixth] = tenants.map((id) => ({ tenant: { id }, user: { id: id * 10 } }))
  if (!first || !second || !third || !fourth || !fifth || !sixth) return
  await manager.insert(
    Article,
    [1, 2, 3].map((id) => ({ id, author: first.user, tenant: first.tenant })),
  )
  await manager.insert(Contract, { id: 1, signer: second.user, tenant: second.tenant })
  await manager.insert(
    Task,
    [1, 2].map((id) => ({ id, assignee: third.user, project: third.tenant })),
  )
  await manager.insert(Badge, { id: 1, userId: 40, tenant: fourth.tenant })
  await manager.insert(Article, { id: 10, author: fifth.user, tenant: sixth.tenant })
  await manager.insert(Article, { id: 11, author: sixth.user, tenant: sixth.tenant })
  for (const id of [1, 2, 3])
    await manager.insert(Step, { id, before: id > 1 ? { id: id - 1 } : null, tenant: { id: 7 } })
  await manager.insert(Article, { id: 12, author: { id: 80 }, tenant: null })
}

async function contentsOf(dataSource: DataSource): Promise<readonly string[]> {
  const texts: string[] = []
  for (const { tableName } of dataSource.entityMetadatas) {
    const rows: readonly object[] = await dataSource.query(`SELECT * FROM "${tableName}"`)
    texts.push(...rows.map((row) => `${tableName} ${JSON.stringify(row)}`))
  }
  return texts.toSorted()
}

describe('rows that are referred to in two ways', () => {
  let targets: OpenTargets
  beforeAll(async () => {
    targets = await openTargets({ entities, groups, seed, onDelete: 'application' })
  })
  afterAll(() => targets?.close())

  it.each([
    ['go where what keeps them goes by another way', { id: 1 }, undefined],
    ['go where RESTRICT keeps them', { id: 2 }, undefined],
    ['go where what keeps them goes a level later', { id: 3 }, undefined],
    ['go before a foreign key of their shard is asked', { id: 4 }, undefined],
    ['stay where what keeps them stays', { id: 5 }, '23503'],
    ['go with others of a call', { id: 6 }, undefined],
    ['go with rows of their own table', { id: 7 }, undefined],
    ['stay for a row that is in no diamond', { id: 8 }, '23503'],
  ])('%s', async (_, tenant, code) => {
    for (const { dataSource } of [{ dataSource: targets.plain }, ...targets.sharded]) {
      const outcome = await dataSource.manager.delete(Tenant, tenant).then(
        ({ affected }) => ({ affected }),
        (error: { code?: string; constraint?: string }) => ({ code: error.code }),
      )
      expect(outcome).toEqual(code === undefined ? { affected: 1 } : { code })
      expect(await contentsOf(dataSource)).toEqual(await contentsOf(targets.plain))
    }
  })
})
