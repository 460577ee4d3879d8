import {
  AfterInsert,
  AfterLoad,
  AfterRemove,
  AfterUpdate,
  BeforeInsert,
  BeforeUpdate,
  Column,
  type DataSource,
  DeleteDateColumn,
  Entity,
  type EntitySubscriberInterface,
  EventSubscriber,
  PrimaryColumn,
} from 'typeorm'
import { beforeEach, describe, expect, it } from 'vitest'
import { hash, Sharded, ShardKey } from '../../src/index'
import { onTargets } from '../support/targets'

const seen: string[] = []

@Entity()
@Sharded(hash({ shards: 3 }))
class Ticket {
  @ShardKey()
  @PrimaryColumn('bigint')
  id!: string

  @Column()
  title!: string

  @Column({ default: '' })
  slug!: string

  @DeleteDateColumn()
  deletedAt!: Date | null

  @BeforeInsert()
  beforeInsert(): void {
    seen.push(`listener beforeInsert ${this.id}`)
    this.slug = this.title.toLowerCase()
  }

  @AfterInsert()
  afterInsert(): void {
    seen.push(`listener afterInsert ${this.id}`)
  }

  @BeforeUpdate()
  async beforeUpdate(): Promise<void> {
    await Promise.resolve()
    this.slug = this.title.toLowerCase()
    seen.push(`listener beforeUpdate ${this.id}`)
  }

  @AfterUpdate()
  afterUpdate(): void {
    seen.push(`listener afterUpdate ${this.id}`)
  }

  @AfterRemove()
  afterRemove(): void {
    seen.push(`listener afterRemove ${this.slug}`)
  }

  @AfterLoad()
  afterLoad(): void {
    seen.push(`listener afterLoad ${this.id}`)
  }
}

interface TicketEvent {
  readonly dataSource: DataSource
  readonly entity?: object | undefined
  readonly queryRunner: { readonly data?: object; readonly isTransactionActive: boolean }
  readonly manager: { readonly dataSource: DataSource }
}

/** Where the events of each ticket came from. */
const sources = new Map<string, DataSource>()
const data: unknown[] = []

const note = (name: string, { dataSource, entity, queryRunner }: TicketEvent): void => {
  const id = entity && 'id' in entity ? String(entity.id) : ''
  seen.push(`subscriber ${name} ${id}`)
  sources.set(id, dataSource)
  data.push(queryRunner.data)
}

@EventSubscriber()
class TicketSubscriber implements EntitySubscriberInterface<Ticket> {
  listenTo(): typeof Ticket {
    return Ticket
  }
  beforeInsert(event: TicketEvent): void {
    note('beforeInsert', event)
  }
  afterInsert(event: TicketEvent): void {
    note('afterInsert', event)
  }
  beforeUpdate(event: TicketEvent): void {
    note('beforeUpdate', event)
  }
  afterUpdate(event: TicketEvent): void {
    note('afterUpdate', event)
  }
  beforeRemove(event: TicketEvent): void {
    note('beforeRemove', event)
  }
  afterRemove(event: TicketEvent): void {
    note('afterRemove', event)
  }
  beforeSoftRemove(event: TicketEvent): void {
    note('beforeSoftRemove', event)
  }
  afterRecover(event: TicketEvent): void {
    note('afterRecover', event)
  }
  afterLoad(entity: Ticket, event?: { dataSource: DataSource }): void {
    seen.push(`subscriber afterLoad ${entity.id}`)
    if (event) sources.set(entity.id, event.dataSource)
  }
}

describe('listeners and subscribers', () => {
  onTargets({ entities: [Ticket], groups: ['ticket'], subscribers: [TicketSubscriber] }, (target) => {
    const tickets = () => target.dataSource.getRepository(Ticket)
    const five = () => tickets().create(['1', '2', '3', '4', '5'].map((id) => ({ id, title: `T${id}` })))
    const take = (): string[] => seen.splice(0).sort()
    const expected = (...names: string[]): string[] =>
      names.flatMap((name) => ['1', '2', '3', '4', '5'].map((id) => `${name} ${id}`)).sort()

    beforeEach(() => {
      seen.length = 0
      data.length = 0
      sources.clear()
    })

    it('hear of each insert once, with the data source of the application', async () => {
      await tickets().save(five())
      expect(take()).toEqual(
        expected('listener beforeInsert', 'listener afterInsert', 'subscriber beforeInsert', 'subscriber afterInsert'),
      )
      expect(sources.size).toBe(5)
      for (const source of sources.values()) expect(source).toBe(target.dataSource)
      expect(await tickets().findOneByOrFail({ id: '3' })).toMatchObject({ slug: 't3' })
    })

    it('hear of each update once, and may change the entity', async () => {
      const saved = await tickets().save(five())
      take()
      for (const ticket of saved) ticket.title = `New ${ticket.id}`
      await tickets().save(saved)
      // Before it updates, `save` loads the rows.
      expect(take().filter((one) => !one.includes('afterLoad'))).toEqual(
        expected('listener beforeUpdate', 'listener afterUpdate', 'subscriber beforeUpdate', 'subscriber afterUpdate'),
      )
      expect(await tickets().findOneByOrFail({ id: '4' })).toMatchObject({ slug: 'new 4' })
    })

    it('hear of removals', async () => {
      const saved = await tickets().save(five())
      take()
      await tickets().softRemove(saved)
      expect(take()).toEqual(expect.arrayContaining(expected('subscriber beforeSoftRemove')))
      await tickets().recover(saved)
      expect(take()).toEqual(expect.arrayContaining(expected('subscriber afterRecover')))
      await tickets().remove(saved)
      const heard = take()
      expect(heard.filter((one) => one.startsWith('listener afterRemove t'))).toHaveLength(5)
      expect(heard.filter((one) => one.startsWith('subscriber beforeRemove'))).toHaveLength(5)
    })

    it('hear of each loaded entity once, whichever way it is loaded', async () => {
      await tickets().save(five())
      const loads = expected('listener afterLoad', 'subscriber afterLoad')
      for (const options of [{}, { order: { id: 'ASC' } }, { take: 5, order: { title: 'ASC' } }] as const) {
        take()
        await tickets().find(options)
        expect(take()).toEqual(loads)
      }
      for (const source of sources.values()) expect(source).toBe(target.dataSource)
      await tickets().findOneBy({ id: '2' })
      expect(take()).toEqual(['listener afterLoad 2', 'subscriber afterLoad 2'])
      await tickets().find({ take: 2, order: { id: 'ASC' } })
      expect(take()).toEqual(expected('listener afterLoad', 'subscriber afterLoad').filter((one) => /[12]$/.test(one)))
    })

    it('are told of the data of save', async () => {
      await tickets().save(five(), { data: { who: 'me' } })
      expect(data.length).toBeGreaterThan(0)
      expect(data.every((one) => (one as { who?: string }).who === 'me')).toBe(true)
    })

    it('stay silent where listeners are off', async () => {
      const saved = await tickets().save(five(), { listeners: false })
      for (const ticket of saved) ticket.title = 'x'
      await tickets().save(saved, { listeners: false })
      await tickets().remove(saved, { listeners: false })
      expect(take().filter((one) => !one.includes('afterLoad'))).toEqual([])
    })

    it('hear of insert(), update() and delete() as TypeORM tells them', async () => {
      await tickets().insert(five())
      const inserted = take()
      expect(inserted.filter((one) => one.startsWith('subscriber beforeInsert'))).toHaveLength(5)
      expect(inserted.filter((one) => one.startsWith('subscriber afterInsert'))).toHaveLength(5)
      await tickets().update({ id: '3' }, { title: 'x' })
      expect(take()).toEqual(['subscriber afterUpdate ', 'subscriber beforeUpdate '])
      await tickets().delete({ id: '3' })
      expect(take()).toEqual(['subscriber afterRemove ', 'subscriber beforeRemove '])
    })

    it('do not hear of changes that are rolled back', async () => {
      const saved = await tickets().save(five())
      seen.length = 0
      // PostgreSQL has no text with a zero byte.
      for (const one of saved) one.title = one.id === '3' ? '\0' : 'changed'
      await expect(tickets().save(saved)).rejects.toMatchObject({ code: '22021' })
      expect(take().filter((one) => !one.includes('afterLoad'))).toEqual(
        expected('listener beforeUpdate', 'subscriber beforeUpdate'),
      )
      expect(await tickets().countBy({ title: 'changed' })).toBe(0)
    })

    it('undo a save by throwing', async () => {
      const bad = tickets().create({ id: '6', title: 'x' })
      bad.beforeInsert = () => {
        throw new RangeError('not this one')
      }
      await expect(tickets().save([...five(), bad])).rejects.toThrow(new RangeError('not this one'))
      expect(await tickets().count()).toBe(0)
    })
  })
})
