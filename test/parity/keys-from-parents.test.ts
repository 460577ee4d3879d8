import {
  BaseEntity,
  Column,
  type DataSource,
  type DeepPartial,
  Entity,
  EntitySchema,
  JoinColumn,
  ManyToOne,
  OneToMany,
  PrimaryColumn,
  PrimaryGeneratedColumn,
  type Relation,
} from 'typeorm'
import { beforeEach, describe, expect, it } from 'vitest'
import { hash, Sharded, ShardedDataSource, ShardKey, shardedSchema } from '../../src/index'
import { onTargets } from '../support/targets'

@Entity()
@Sharded(hash({ shards: 2 }))
class Client {
  @ShardKey() @PrimaryGeneratedColumn('uuid') id!: string
  @Column('text') name!: string
  @OneToMany(
    () => Job,
    (job) => job.client,
    { cascade: true },
  )
  jobs!: Relation<Job>[]
}

@Entity()
@Sharded({ colocatedWith: () => Client })
class Job {
  @PrimaryColumn('int') id!: number
  @ManyToOne(
    () => Client,
    (client) => client.jobs,
    { cascade: ['insert'], nullable: false },
  )
  @JoinColumn({ name: 'clientId' })
  client!: Relation<Client>
  @ShardKey() @Column('uuid') clientId!: string
  @Column('text', { default: 'new' }) state!: string
  @OneToMany(
    () => Step,
    (step) => step.job,
  )
  steps!: Relation<Step>[]
}

/** Knows its job alone; the shard key is a column beside, which plain TypeORM leaves as NULL. */
@Entity()
@Sharded({ colocatedWith: () => Client })
class Step extends BaseEntity {
  @PrimaryColumn('int') id!: number
  @Column('text') what!: string
  @ShardKey() @Column('uuid', { nullable: true, select: false }) clientId?: string
  @Column('int', { nullable: true }) jobId!: number | null
  @ManyToOne(
    () => Job,
    (job) => job.steps,
    { cascade: ['insert'] },
  )
  @JoinColumn({ name: 'jobId' })
  job!: Relation<Job> | null
  @OneToMany(
    () => Note,
    (note) => note.step,
    { cascade: true },
  )
  notes!: Relation<Note>[]
}

@Entity()
@Sharded({ colocatedWith: () => Client })
class Note {
  @PrimaryColumn('int') id!: number
  @Column('text') text!: string
  @ShardKey() @Column('uuid', { nullable: true, select: false }) clientId?: string
  @ManyToOne(
    () => Step,
    (step) => step.notes,
  )
  step!: Relation<Step>
}

interface Paper {
  id: number
  clientId: string
}

interface Mark {
  id: number
  clientId?: string
  paper: Paper
}

const PaperSchema = shardedSchema(
  new EntitySchema<Paper>({
    name: 'Paper',
    columns: { id: { type: 'int', primary: true }, clientId: { type: 'uuid' } },
  }),
  { by: { colocatedWith: () => Client }, shardKey: ['clientId'] },
)

/** TypeORM lets a schema refer to schemas only. */
const MarkSchema = shardedSchema(
  new EntitySchema<Mark>({
    name: 'Mark',
    columns: {
      id: { type: 'int', primary: true },
      clientId: { type: 'uuid', nullable: true, select: false },
    },
    relations: { paper: { type: 'many-to-one', target: 'Paper' } },
  }),
  { by: { colocatedWith: () => Client }, shardKey: ['clientId'] },
)

/** On the home node, where the database makes its ids. */
@Entity()
class Firm {
  @PrimaryGeneratedColumn() id!: number
  @Column('text') name!: string
  @OneToMany(
    () => Site,
    (site) => site.firm,
    { cascade: true },
  )
  sites!: Relation<Site>[]
}

@Entity()
@Sharded(hash({ shards: 2 }))
class Site {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') firmId!: number
  @ManyToOne(
    () => Firm,
    (firm) => firm.sites,
    { cascade: ['insert'], nullable: false },
  )
  @JoinColumn({ name: 'firmId' })
  firm!: Relation<Firm>
}

const entities = [Firm, Site, Client, Job, Step, Note, PaperSchema, MarkSchema]
const one = '10000000-0000-4000-8000-000000000001'
const two = '20000000-0000-4000-8000-000000000002'

describe('a shard key that children have from their parents', () => {
  onTargets({ entities, groups: ['client', 'site'] }, (target) => {
    const manager = () => target.dataSource.manager
    const rows = async () => ({
      steps: await manager().find(Step, { relations: { job: { client: true } }, order: { id: 'ASC' } }),
      notes: await manager().find(Note, { relations: { step: true }, order: { id: 'ASC' } }),
    })
    const of = (client: string, ...steps: readonly (readonly [number, number])[]) =>
      steps.map(([id, job]) => ({ id, what: `step ${id}`, jobId: job, job: { id: job, client: { id: client } } }))
    /** Every row is where its parent is, and has the parent's key. */
    const arePlaced = async () => {
      if (!(target.dataSource instanceof ShardedDataSource)) return
      for (const name of ['job', 'step', 'note', 'mark']) {
        const { faults } = await placed(target.dataSource, name)
        expect(faults).toEqual([])
      }
    }
    beforeEach(async () => {
      await manager().save(Client, [
        { id: one, name: 'one', jobs: [{ id: 1 }, { id: 2 }] },
        { id: two, name: 'two', jobs: [{ id: 3 }] },
      ])
    })

    it('by a save of children that know a loaded parent', async () => {
      const job = await manager().findOneByOrFail(Job, { id: 3 })
      await manager().save(Step, [{ id: 1, what: 'step 1', job }])
      expect((await rows()).steps).toMatchObject(of(two, [1, 3]))
      await arePlaced()
    })

    it('by a save of children that know the primary key of the parent alone', async () => {
      await manager().save(Step, [
        { id: 1, what: 'step 1', job: { id: 3 } },
        { id: 2, what: 'step 2', job: { id: 1 } },
        { id: 3, what: 'step 3', jobId: 2 },
      ])
      expect((await rows()).steps).toMatchObject([...of(two, [1, 3]), ...of(one, [2, 1], [3, 2])])
      await arePlaced()
    })

    it('where a new parent is saved by the cascade of the child', async () => {
      const step = await manager().save(Step, {
        id: 1,
        what: 'step 1',
        job: { id: 9, client: { id: two } },
        notes: [{ id: 1, text: 'a' }],
      })
      expect(step.job?.id).toBe(9)
      expect(await rows()).toMatchObject({ steps: of(two, [1, 9]), notes: [{ step: { id: 1 } }] })
      await arePlaced()
    })

    it('where the key of the parent of the parent is made as it is saved', async () => {
      const { job } = await manager().save(Step, {
        id: 1,
        what: 'step 1',
        job: { id: 9, client: { name: 'new' } },
      })
      const made = job?.client.id
      expect(made).toMatch(/^[0-9a-f-]{36}$/)
      expect((await rows()).steps).toMatchObject(of(made ?? '', [1, 9]))
      await arePlaced()
    })

    it('where the parent comes later in the same save', async () => {
      const job = manager().create(Job, { id: 9, client: manager().create(Client, { id: two }) })
      const step = manager().create(Step, { id: 1, what: 'step 1' })
      step.job = job
      const note = manager().create(Note, { id: 4, text: 'four' })
      note.step = step
      await manager().save([note, step, job])
      expect(await rows()).toMatchObject({ steps: of(two, [1, 9]), notes: [{ id: 4, step: { id: 1 } }] })
      await manager().remove([step, note])
      expect(await rows()).toMatchObject({ steps: [], notes: [] })
      await arePlaced()
    })

    it('where the relation is set before the key of the parent', async () => {
      const job = manager().create(Job, { id: 9 })
      const step = manager().create(Step, { id: 1, what: 'step 1' })
      step.job = job
      step.notes = [manager().create(Note, { id: 5, text: 'five' })]
      job.client = await manager().findOneByOrFail(Client, { id: one })
      await manager().save(step)
      expect(await rows()).toMatchObject({ steps: of(one, [1, 9]), notes: [{ id: 5, step: { id: 1 } }] })
      await arePlaced()
    })

    it('where the database makes the key of an unsharded parent', async () => {
      const site = await manager().save(Site, { id: 1, firm: { name: 'acme' } })
      expect(site.firm.id).toBeGreaterThan(0)
      const firm = await manager().save(Firm, { name: 'zenith', sites: [{ id: 2 }, { id: 3 }] })
      firm.sites.push(manager().create(Site, { id: 4 }))
      await manager().save(Firm, firm)
      const later = manager().create(Firm, { name: 'later' })
      const first = manager().create(Site, { id: 6 })
      first.firm = later
      await manager().save([first, later])
      await manager().insert(Site, { id: 5, firm })
      const sites = await manager().find(Site, { relations: { firm: true }, order: { id: 'ASC' } })
      const names = ['acme', 'zenith', 'zenith', 'zenith', 'zenith', 'later']
      expect(sites.map((one) => one.firm.name)).toEqual(names)
      expect(sites.every((one) => one.firmId === one.firm.id)).toBe(true)
    })

    it('by inserts', async () => {
      const job = await manager().findOneByOrFail(Job, { id: 1 })
      await manager().insert(Step, [
        { id: 1, what: 'step 1', job },
        { id: 2, what: 'step 2', job: { id: 3 } },
        { id: 3, what: 'step 3', jobId: 2 },
        { id: 4, what: 'step 4', job: { id: 3, clientId: two } },
      ])
      await manager().insert(Note, { id: 1, text: 'a', step: { id: 2 } })
      expect(await rows()).toMatchObject({
        steps: [...of(one, [1, 1]), ...of(two, [2, 3]), ...of(one, [3, 2]), ...of(two, [4, 3])],
        notes: [{ id: 1, step: { id: 2 } }],
      })
      await arePlaced()
    })

    it('by builders of INSERT', async () => {
      const job = await manager().findOneByOrFail(Job, { id: 3 })
      const values: DeepPartial<Step>[] = [
        { id: 1, what: 'step 1', job },
        { id: 2, what: 'step 2', jobId: 1 },
      ]
      await manager()
        .createQueryBuilder()
        .insert()
        .into(Step)
        .values(values as never)
        .execute()
      await manager()
        .getRepository(Note)
        .createQueryBuilder()
        .insert()
        .values({ id: 1, text: 'a', step: { id: 1 } })
        .orIgnore()
        .execute()
      expect(await rows()).toMatchObject({
        steps: [...of(two, [1, 3]), ...of(one, [2, 1])],
        notes: [{ id: 1, step: { id: 1 } }],
      })
      await arePlaced()
    })

    it('in a transaction that has written the parent', async () => {
      await manager().transaction(async (inner) => {
        await inner.insert(Job, { id: 9, clientId: two })
        await inner.insert(Step, { id: 1, what: 'step 1', jobId: 9 })
        await inner.save(Note, { id: 1, text: 'a', step: { id: 1 } })
      })
      expect(await rows()).toMatchObject({ steps: of(two, [1, 9]), notes: [{ id: 1, step: { id: 1 } }] })
      await arePlaced()
    })

    it('of active records and schemas of entities', async () => {
      Step.useDataSource(target.dataSource)
      const job = await manager().findOneByOrFail(Job, { id: 3 })
      await Step.create({ id: 1, what: 'step 1', job }).save()
      await Step.insert({ id: 2, what: 'step 2', job: { id: 2 } })
      await manager().insert(PaperSchema, { id: 1, clientId: two })
      const marks = target.dataSource.getRepository(MarkSchema)
      await marks.save(marks.create({ id: 1, paper: { id: 1 } }))
      await marks.insert({ id: 2, paper: { id: 1 } })
      expect(await marks.find({ relations: { paper: true }, order: { id: 'ASC' } })).toMatchObject([
        { id: 1, paper: { id: 1 } },
        { id: 2, paper: { id: 1 } },
      ])
      expect((await rows()).steps).toMatchObject([...of(two, [1, 3]), ...of(one, [2, 2])])
      await arePlaced()
    })

    it('by upserts by the primary key', async () => {
      await manager().upsert(Step, [{ id: 1, what: 'old', jobId: 3 }], ['id'])
      await manager().upsert(
        Step,
        [
          { id: 1, what: 'step 1', job: { id: 3 } },
          { id: 2, what: 'step 2', job: { id: 1 } },
        ] as never,
        ['id'],
      )
      expect((await rows()).steps).toMatchObject([...of(two, [1, 3]), ...of(one, [2, 1])])
      await arePlaced()
    })

    it('and leave an object as it was where the write fails', async () => {
      const step = manager().create(Step, { id: 1, what: 'step 1', job: { id: 77 } })
      await expect(manager().save(step)).rejects.toThrow()
      await expect(manager().insert(Step, [{ id: 2, what: null as never, job: { id: 1 } }])).rejects.toThrow()
      expect(step.clientId).toBeUndefined()
      step.job = await manager().findOneByOrFail(Job, { id: 3 })
      await manager().save(step)
      expect((await rows()).steps).toMatchObject(of(two, [1, 3]))
      await arePlaced()
    })
  })
})

/** Where rows are that are not where they belong. */
async function placed(dataSource: DataSource, name: string): Promise<{ readonly faults: readonly unknown[] }> {
  const rows: { child: string | null; parent: string | null }[] = await dataSource.query(
    {
      job: `SELECT j."clientId" AS child, c.id AS parent FROM job j JOIN client c ON c.id = j."clientId"`,
      step: `SELECT s."clientId" AS child, j."clientId" AS parent FROM step s JOIN job j ON j.id = s."jobId"`,
      note: `SELECT n."clientId" AS child, s."clientId" AS parent FROM note n JOIN step s ON s.id = n."stepId"`,
      mark: `SELECT m."clientId" AS child, p."clientId" AS parent FROM mark m JOIN paper p ON p.id = m."paperId"`,
    }[name] ?? '',
  )
  return { faults: rows.filter(({ child, parent }) => child === null || child !== parent) }
}
