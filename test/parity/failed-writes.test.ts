import {
  BeforeInsert,
  BeforeUpdate,
  Column,
  CreateDateColumn,
  Entity,
  JoinColumn,
  ManyToOne,
  OneToMany,
  PrimaryColumn,
  PrimaryGeneratedColumn,
  QueryFailedError,
  type Relation,
  UpdateDateColumn,
  VersionColumn,
} from 'typeorm'
import { describe, expect, it } from 'vitest'
import { hash, Sharded, ShardKey } from '../../src/index'
import { onTargets } from '../support/targets'

class Audit {
  @CreateDateColumn()
  made!: Date

  @Column('int', { default: 3 })
  level!: number
}

@Entity()
@Sharded(hash({ shards: 3 }))
class Folder {
  @ShardKey()
  @PrimaryColumn('int')
  id!: number

  @Column('varchar', { nullable: true })
  title!: string | null

  @Column('int', { default: 7 })
  weight!: number

  @Column(() => Audit)
  audit!: Audit

  @UpdateDateColumn()
  changed!: Date

  @VersionColumn()
  version!: number

  @Column('varchar', { default: '' })
  slug!: string

  @OneToMany(
    () => Paper,
    (paper) => paper.folder,
    { cascade: true },
  )
  papers!: Relation<Paper>[]

  @BeforeInsert()
  beforeInsert(): void {
    this.slug = `slug ${this.id}`
  }

  @BeforeUpdate()
  async beforeUpdate(): Promise<void> {
    await Promise.resolve()
    this.slug = `updated ${this.id}`
  }
}

@Entity()
@Sharded({ colocatedWith: () => Folder })
class Paper {
  @PrimaryGeneratedColumn('uuid')
  id!: string

  @ShardKey()
  @Column('int')
  folderId!: number

  @Column('int')
  pages!: number

  @ManyToOne(
    () => Folder,
    (folder) => folder.papers,
    { onDelete: 'NO ACTION' },
  )
  @JoinColumn({ name: 'folderId' })
  folder!: Relation<Folder>
}

/** Its key is generated before it is sent, since it decides the shard. */
@Entity()
@Sharded(hash({ shards: 3 }))
class Note {
  @ShardKey()
  @PrimaryGeneratedColumn('uuid')
  id!: string

  @Column('int')
  size!: number

  @CreateDateColumn()
  made!: Date
}

const count = 12
/** Too large for the column: the statement of one shard fails, whichever that is. */
const tooLarge = 2 ** 40

const options = { entities: [Folder, Paper, Note], groups: ['folder', 'note'] } as const

describe('objects after a write that failed', () => {
  onTargets(options, (target) => {
    const folders = () => target.dataSource.getRepository(Folder)
    const refused = async (write: () => Promise<unknown>): Promise<void> => {
      await expect(write()).rejects.toBeInstanceOf(QueryFailedError)
    }
    const numbers = Array.from({ length: count }, (_, index) => index + 1)
    /** Objects as the class makes them, with a row of the tenth in the way. */
    const given = () => numbers.map((id) => folders().create({ id }))
    const plain = () => numbers.map((id) => ({ id, weight: id === 10 ? tooLarge : 1 }))
    const listened = numbers.map((id) => ({ id, slug: `slug ${id}` }))
    /** Each property that an object has of itself, also where that is undefined. */
    const own = (objects: readonly object[]) => objects.map((one) => Object.entries(one))
    const expected = (objects: readonly object[]) => objects.map((one) => Object.entries(one))

    it('insert leaves what listeners set, and nothing that was generated', async () => {
      await folders().insert({ id: 10 })
      const objects = given()
      await refused(() => folders().insert(objects))
      expect(own(objects)).toEqual(expected(listened))
    })

    it('insert of plain objects leaves them as they were', async () => {
      const objects = plain()
      await refused(() => folders().insert(objects))
      expect(own(objects)).toEqual(expected(plain()))
    })

    it('insert in a transaction that goes on after it', async () => {
      const objects = given()
      const later = folders().create({ id: 99 })
      await target.dataSource.transaction(async (manager) => {
        await manager.insert(Folder, { id: 10 })
        await refused(() => manager.transaction((inner) => inner.insert(Folder, objects)))
        await manager.insert(Folder, later)
      })
      expect(own(objects)).toEqual(expected(listened))
      expect(later).toMatchObject({ weight: 7, version: 1, audit: { level: 3 } })
      expect(await folders().count()).toBe(2)
    })

    it('what was inserted before a transaction rolled back stays filled', async () => {
      const objects = given()
      await refused(() =>
        target.dataSource.transaction(async (manager) => {
          await manager.insert(Folder, objects)
          await manager.insert(Folder, objects[0] ?? {})
        }),
      )
      expect(objects.map(({ version, weight, audit }) => [version, weight, audit.level])).toEqual(
        numbers.map(() => [1, 7, 3]),
      )
    })

    it('upsert', async () => {
      const objects = plain()
      await refused(() => folders().upsert(objects, ['id']))
      expect(own(objects)).toEqual(expected(plain()))
    })

    it('save of new rows, with what hangs on them', async () => {
      const objects = numbers.map((id) =>
        folders().create({ id, papers: [{ pages: id === 10 ? tooLarge : id }, { pages: 1 }] }),
      )
      await refused(() => folders().save(objects))
      expect(objects.map(({ id, slug, version, audit, papers }) => [id, slug, version, audit, papers])).toEqual(
        numbers.map((id) => [
          id,
          `slug ${id}`,
          undefined,
          undefined,
          [{ pages: id === 10 ? tooLarge : id }, { pages: 1 }],
        ]),
      )
      expect(objects.every((one) => !('title' in one) && !('weight' in one))).toBe(true)
    })

    it('save of new rows without listeners', async () => {
      const objects = plain()
      await refused(() => folders().save(objects, { listeners: false }))
      expect(own(objects)).toEqual(expected(plain()))
    })

    it('save of changed rows, whose versions stay', async () => {
      await folders().insert(given())
      const objects = await folders().find({ order: { id: 'ASC' } })
      const before = objects.map(({ changed, version }) => [changed, version])
      for (const one of objects) one.weight = one.id === 10 ? tooLarge : 1
      await refused(() => folders().save(objects))
      expect(objects.map(({ changed, version }) => [changed, version])).toEqual(before)
      expect(objects.map(({ slug }) => slug)).toEqual(numbers.map((id) => `updated ${id}`))
    })

    it('remove, whose objects keep their keys', async () => {
      await folders().insert(given())
      await target.dataSource.getRepository(Paper).insert({ folderId: 10, pages: 1 })
      const objects = await folders().find({ order: { id: 'ASC' } })
      await refused(() => folders().remove(objects))
      expect(objects.map(({ id }) => id)).toEqual(numbers)
    })

    it('has no uuid of a key that was made before it was sent', async () => {
      const notes = target.dataSource.getRepository(Note)
      const inserted = numbers.map((size) => notes.create({ size: size === 10 ? tooLarge : size }))
      await refused(() => notes.insert(inserted))
      const saved = numbers.map((size) => notes.create({ size: size === 10 ? tooLarge : size }))
      await refused(() => notes.save(saved))
      for (const { id, made } of [...inserted, ...saved]) expect([id, made]).toEqual([undefined, undefined])
    })
  })
})
