import {
  Column,
  type DataSource,
  Entity,
  EntityNotFoundError,
  JoinColumn,
  ManyToOne,
  OneToMany,
  PrimaryColumn,
  type Relation,
  type Repository,
  UpdateDateColumn,
  VersionColumn,
} from 'typeorm'
import { describe, expect, it } from 'vitest'
import {
  hash,
  Sharded,
  ShardedDataSource,
  type ShardedEntityManager,
  ShardedRepository,
  ShardKey,
} from '../../src/index'
import { onTargets } from '../support/targets'

/** Values of types that the driver changes on the way. */
@Entity()
@Sharded(hash({ shards: 3 }), { onKeyChange: 'move' })
class Crate {
  @PrimaryColumn('int')
  id!: number

  @ShardKey()
  @Column('int')
  depot!: number

  @Column('text', { default: '' })
  label!: string

  @Column('int', { default: 0 })
  weight!: number

  @Column('timestamptz', { nullable: true })
  packedAt!: string | null

  @Column('jsonb', { nullable: true })
  content!: unknown

  @Column('text', { array: true, nullable: true })
  tags!: string[] | null

  @Column('bytea', { nullable: true })
  seal!: Buffer | null

  @Column({ type: 'bit', length: 3, nullable: true })
  bits!: string | null

  @Column('bit varying', { nullable: true })
  mask!: string | null

  @Column({ type: 'bit', length: 2, array: true, nullable: true })
  pairs!: string[] | null

  @Column('enum', { enum: ['new', 'used'], default: 'new' })
  state!: 'new' | 'used'

  @Column('character', { length: 4, nullable: true })
  code!: string | null

  @Column({ type: 'int', generatedType: 'STORED', asExpression: 'weight * 2', nullable: true })
  doubled!: number | null

  @VersionColumn()
  version!: number

  @UpdateDateColumn()
  updatedAt!: Date

  @OneToMany(
    () => Item,
    (item) => item.crate,
  )
  items!: Relation<Item>[]
}

@Entity()
@Sharded({ colocatedWith: () => Crate })
class Item {
  @PrimaryColumn('int')
  id!: number

  @ShardKey()
  @Column('int')
  depot!: number

  @Column('int')
  crateId!: number

  @ManyToOne(
    () => Crate,
    (crate) => crate.items,
    { onDelete: 'CASCADE' },
  )
  @JoinColumn({ name: 'crateId' })
  crate!: Relation<Crate>
}

const crates = (dataSource: DataSource) => dataSource.getRepository(Crate)

/** The move of a data source without shards. */
async function move(repository: Repository<Crate>, crate: Crate, depot: number): Promise<void> {
  if (repository instanceof ShardedRepository) {
    await repository.move(crate, depot)
    return
  }
  const { affected } = await repository.createQueryBuilder().update().set({ depot }).whereEntity(crate).execute()
  if (!affected) throw new EntityNotFoundError(Crate, { id: crate.id })
  crate.depot = depot
}

const depots = [1, 2, 3, 4, 5, 6, 7, 8]

const crate = (id: number, depot: number): Partial<Crate> => ({
  id,
  depot,
  label: `crate ${id}`,
  weight: 10 * id,
  packedAt: '2024-02-29 12:34:56.123456+00',
  content: { a: [1, null, 'é"\\'], b: null },
  tags: ['a,b', '{"x"}', 'NULL', ''],
  seal: Buffer.from([0, 255, 92, 39]),
  bits: '101',
  mask: '0011',
  pairs: ['10', '01'],
  state: 'used',
  code: 'ab',
})

const all = (dataSource: DataSource) =>
  dataSource.query(
    'SELECT id, depot, label, weight, "packedAt"::text, content::text, tags::text, seal::text, bits::text, mask::text, pairs::text, state::text, code, doubled, version FROM crate ORDER BY id',
  )

describe('moving a row to another shard key', () => {
  onTargets({ entities: [Crate, Item], groups: ['crate'] }, (target) => {
    it('keeps every value, and sets version and update date as an update does', async () => {
      const repository = crates(target.dataSource)
      for (const depot of depots) {
        const saved = await repository.save(repository.create(crate(depot, 1)))
        const before = saved.updatedAt
        // The driver would cut the microseconds.
        await repository.update({ id: depot }, { packedAt: () => "'2024-02-29 12:34:56.123456+00'" })
        await move(repository, saved, depot)
        expect(saved).toMatchObject({ depot, version: 3 })
        expect(saved.updatedAt.getTime()).toBeGreaterThanOrEqual(before.getTime())
      }
      expect(await all(target.dataSource)).toEqual(
        depots.map((depot) => ({
          id: depot,
          depot,
          label: `crate ${depot}`,
          weight: 10 * depot,
          packedAt: expect.stringMatching(/^2024-02-29 \d\d:\d\d:56\.123456/) as string,
          content: '{"a": [1, null, "é\\"\\\\"], "b": null}',
          tags: '{"a,b","{\\"x\\"}","NULL",""}',
          seal: '\\x00ff5c27',
          bits: '101',
          mask: '0011',
          pairs: '{10,01}',
          state: 'used',
          code: 'ab  ',
          doubled: 20 * depot,
          version: 3,
        })),
      )
      for (const depot of depots) expect(await repository.countBy({ depot })).toBe(1)
    })

    it('leaves an entity that saves to its new place', async () => {
      const repository = crates(target.dataSource)
      const saved = await repository.save(repository.create(crate(1, 1)))
      for (const depot of depots) {
        await move(repository, saved, depot)
        saved.label = `at ${depot}`
        await repository.save(saved)
        expect(await repository.find({ select: { id: true, depot: true, label: true } })).toMatchObject([
          { id: 1, depot, label: `at ${depot}` },
        ])
      }
      await repository.remove(saved)
      expect(await repository.count()).toBe(0)
    })

    it('rejects where the row is gone', async () => {
      const repository = crates(target.dataSource)
      const saved = await repository.save(repository.create(crate(1, 1)))
      await repository.delete({ id: 1 })
      await expect(move(repository, saved, 5)).rejects.toBeInstanceOf(EntityNotFoundError)
      await expect(move(repository, saved, 1)).rejects.toBeInstanceOf(EntityNotFoundError)
      expect(saved.depot).toBe(1)
      expect(await repository.count()).toBe(0)
    })

    it('follows a row that somebody else has moved', async () => {
      const repository = crates(target.dataSource)
      const saved = await repository.save(repository.create(crate(1, 1)))
      for (const depot of depots) {
        const other = await repository.findOneByOrFail({ id: 1 })
        await move(repository, other, depot)
      }
      await move(repository, saved, 4)
      expect(await repository.find({ select: { id: true, depot: true } })).toMatchObject([{ id: 1, depot: 4 }])
    })

    it('joins a transaction, and is undone with it', async () => {
      const repository = crates(target.dataSource)
      const saved = await repository.save(repository.create(crate(1, 1)))
      if (target.shards === 0) return
      for (const depot of depots) {
        const failing = target.dataSource.transaction(async (manager) => {
          await move(manager.getRepository(Crate), saved, depot)
          expect(await manager.countBy(Crate, { depot })).toBe(1)
          throw new RangeError('no')
        })
        await expect(failing).rejects.toThrow(new RangeError('no'))
        expect(saved).toMatchObject({ depot: 1, version: 1 })
        expect(await repository.find({ select: { id: true, depot: true } })).toMatchObject([{ id: 1, depot: 1 }])
      }
      await target.dataSource.transaction(async (outer) => {
        await expect(
          outer.transaction(async (inner) => {
            await move(inner.getRepository(Crate), saved, 7)
            throw new RangeError('inner')
          }),
        ).rejects.toThrow('inner')
        expect(saved.depot).toBe(1)
        await outer.transaction((inner) => move(inner.getRepository(Crate), saved, 8))
        expect(saved.depot).toBe(8)
      })
      expect(await repository.find({ select: { id: true, depot: true } })).toMatchObject([{ id: 1, depot: 8 }])
    })

    const states = () =>
      target.dataSource.query('SELECT id, depot, label, weight, version FROM crate ORDER BY id') as Promise<unknown>

    it('goes by save, with the other changes', async () => {
      const repository = crates(target.dataSource)
      await repository.save(depots.map((depot) => repository.create(crate(depot, depot))))
      const loaded = await repository.find({ order: { id: 'ASC' } })
      for (const one of loaded) {
        one.depot = (one.depot % 8) + 1
        if (one.id % 2) one.label = 'changed'
      }
      const saved = await repository.save(loaded)
      expect(saved.map(({ version }) => version)).toEqual(depots.map(() => 2))
      expect(await states()).toEqual(
        depots.map((id) => ({
          id,
          depot: (id % 8) + 1,
          label: id % 2 ? 'changed' : `crate ${id}`,
          weight: 10 * id,
          version: 2,
        })),
      )
      for (const one of loaded) one.weight = 1
      await repository.save(loaded)
      expect(await repository.sum('weight')).toBe(8)
      expect(await repository.count()).toBe(8)
    })

    it('by save is undone with the transaction, and may be repeated', async () => {
      const repository = crates(target.dataSource)
      await repository.save(repository.create(crate(1, 1)))
      const loaded = await repository.findOneByOrFail({ id: 1 })
      for (const depot of depots.slice(1)) {
        await expect(
          target.dataSource.transaction(async (manager) => {
            loaded.depot = depot
            await manager.save(loaded)
            throw new RangeError('no')
          }),
        ).rejects.toThrow('no')
        expect(loaded.depot).toBe(depot)
        expect(await repository.findOneByOrFail({ id: 1 })).toMatchObject({ depot: 1, version: 1 })
      }
      await repository.save(loaded)
      expect(await states()).toEqual([{ id: 1, depot: 8, label: 'crate 1', weight: 10, version: 2 }])
    })

    it('by save makes no second row of another object for the row', async () => {
      const repository = crates(target.dataSource)
      await repository.save(repository.create(crate(1, 1)))
      const loaded = await repository.findOneByOrFail({ id: 1 })
      loaded.depot = 8
      const twin = repository.create(crate(1, 1))
      const error = await repository.save([loaded, twin]).then(
        () => undefined,
        (thrown: unknown) => thrown,
      )
      // One database updates the row twice.
      if (target.shards > 1) expect(error).toMatchObject({ code: 'DUPLICATE_PRIMARY_KEY' })
      expect(await states()).toHaveLength(1)
    })

    it('by save inserts a row that is gone, as TypeORM does', async () => {
      const repository = crates(target.dataSource)
      await repository.save(repository.create(crate(1, 1)))
      const loaded = await repository.findOneByOrFail({ id: 1 })
      await repository.delete({ id: 1 })
      loaded.depot = 5
      // TypeORM itself would insert a generated column.
      Reflect.deleteProperty(loaded, 'doubled')
      await repository.save(loaded)
      expect(await states()).toEqual([{ id: 1, depot: 5, label: 'crate 1', weight: 10, version: 1 }])
    })

    it('goes by update, for one row and for many, with what it returns', async () => {
      const repository = crates(target.dataSource)
      await repository.save(depots.map((depot) => repository.create(crate(depot, depot))))
      expect(await repository.update({ id: 3 }, { depot: 5, label: 'x' })).toMatchObject({ affected: 1 })
      expect(await repository.update(4, { depot: 1 })).toMatchObject({ affected: 1 })
      expect(await repository.update({ depot: 5 }, { depot: 6, weight: () => 'weight + depot' })).toMatchObject({
        affected: 2,
      })
      expect(await repository.update({ id: 99 }, { depot: 6 })).toMatchObject({ affected: 0 })
      const result = await repository
        .createQueryBuilder('c')
        .update()
        .set({ depot: () => 'depot % 8 + 1' })
        .where('weight > :least', { least: 50 })
        .returning(['id', 'depot', 'doubled'])
        .execute()
      expect(result.affected).toBe(4)
      expect([...result.raw].sort((a, b) => a.id - b.id)).toEqual([
        { id: 5, depot: 7, doubled: 110 },
        { id: 6, depot: 7, doubled: 120 },
        { id: 7, depot: 8, doubled: 140 },
        { id: 8, depot: 1, doubled: 160 },
      ])
      expect(await states()).toEqual([
        { id: 1, depot: 1, label: 'crate 1', weight: 10, version: 1 },
        { id: 2, depot: 2, label: 'crate 2', weight: 20, version: 1 },
        { id: 3, depot: 6, label: 'x', weight: 35, version: 3 },
        { id: 4, depot: 1, label: 'crate 4', weight: 40, version: 2 },
        { id: 5, depot: 7, label: 'crate 5', weight: 55, version: 3 },
        { id: 6, depot: 7, label: 'crate 6', weight: 60, version: 2 },
        { id: 7, depot: 8, label: 'crate 7', weight: 70, version: 2 },
        { id: 8, depot: 1, label: 'crate 8', weight: 80, version: 2 },
      ])
      expect(await repository.updateAll({ depot: 2 })).toMatchObject({ affected: 8 })
      expect(await repository.countBy({ depot: 2 })).toBe(8)
      await repository.increment({ id: 1 }, 'depot', 3)
      expect(await repository.findOneByOrFail({ id: 1 })).toMatchObject({ depot: 5 })
    })

    it('goes by raw SQL', async () => {
      const repository = crates(target.dataSource)
      await repository.save(depots.map((depot) => repository.create(crate(depot, depot))))
      const [rows, affected] = await target.dataSource.query(
        'UPDATE crate SET depot = $1, label = label || $3 WHERE id = $2 RETURNING id, depot, label',
        [8, 2, '!'],
      )
      expect({ rows, affected }).toEqual({ rows: [{ id: 2, depot: 8, label: 'crate 2!' }], affected: 1 })
      await target.dataSource.query('UPDATE crate SET depot = 9 - depot, weight = DEFAULT')
      expect(await states()).toEqual(
        depots.map((id) => ({
          id,
          depot: id === 2 ? 1 : 9 - id,
          label: id === 2 ? 'crate 2!' : `crate ${id}`,
          weight: 0,
          version: 1,
        })),
      )
    })

    it('undoes everything where the other shard refuses the row', async () => {
      const repository = crates(target.dataSource)
      await repository.save(depots.map((depot) => repository.create(crate(depot, depot))))
      const before = await states()
      await expect(repository.update({ weight: 30 }, { depot: 5, code: 'too long' })).rejects.toMatchObject({
        driverError: { code: '22001' },
      })
      expect(await states()).toEqual(before)
    })

    it('takes children along, or refuses to leave them', async () => {
      const repository = crates(target.dataSource)
      if (!(repository instanceof ShardedRepository) || target.shards === 1) return
      const items = target.dataSource.getRepository(Item)
      await repository.save(depots.map((depot) => repository.create(crate(depot, depot))))
      await items.insert(depots.flatMap((depot) => [1, 2].map((n) => ({ id: 10 * depot + n, depot, crateId: depot }))))
      const { dataSource } = target
      if (!(dataSource instanceof ShardedDataSource)) return
      const place = (depot: number) => dataSource.locate(Crate, depot).shard
      const far = depots.find((depot) => place(depot) !== place(1)) ?? 0
      const one = await repository.findOneOrFail({ where: { id: 1 }, relations: { items: true } })
      await expect(repository.move(one, far)).rejects.toMatchObject({ code: 'MOVE_LEAVES_CHILDREN' })
      expect(await repository.countBy({ depot: 1 })).toBe(1)
      expect(await items.countBy({ depot: 1 })).toBe(2)
      // Refused in a transaction that then goes on, it has left nothing half done.
      await dataSource.transaction(async (manager) => {
        await expect((manager as ShardedEntityManager).move(Crate, one, far)).rejects.toMatchObject({
          code: 'MOVE_LEAVES_CHILDREN',
        })
        expect(await manager.countBy(Item, { depot: 1 })).toBe(2)
      })
      expect(await repository.countBy({ depot: 1 })).toBe(1)
      await repository.move(one, far, { children: true })
      expect(one.items.map((item: Item) => item.depot)).toEqual([far, far])
      expect(
        await repository.findOneOrFail({
          where: { id: 1 },
          relations: { items: true },
          order: { items: { id: 'ASC' } },
        }),
      ).toMatchObject({
        depot: far,
        items: [
          { id: 11, depot: far },
          { id: 12, depot: far },
        ],
      })
      expect(await items.count()).toBe(16)
      await items.save(one.items)
      await repository.move(one, 1, { children: true })
      expect(await items.countBy({ depot: 1 })).toBe(2)
    })
  })
})
