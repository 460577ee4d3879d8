import { BaseEntity, Column, DeleteDateColumn, Entity, EntityNotFoundError, PrimaryColumn } from 'typeorm'
import { beforeEach, describe, expect, it } from 'vitest'
import { hash, Sharded, ShardKey } from '../../src/index'
import { onTargets } from '../support/targets'

@Entity()
@Sharded(hash({ shards: 3 }))
class Player extends BaseEntity {
  @ShardKey()
  @PrimaryColumn('bigint')
  id!: string

  @Column()
  team!: string

  @Column('int', { default: 0 })
  score!: number

  @DeleteDateColumn()
  deletedAt!: Date | null

  static best(count: number): Promise<Player[]> {
    return Player.find({ order: { score: 'DESC' }, take: count })
  }
}

const six = ['1', '2', '3', '4', '5', '6']

describe('Active Record', () => {
  onTargets({ entities: [Player], groups: ['player'] }, (target) => {
    beforeEach(async () => {
      await Player.insert(six.map((id) => ({ id, team: Number(id) % 2 ? 'odd' : 'even', score: Number(id) })))
    })

    it('reads by statics', async () => {
      expect(await Player.count()).toBe(6)
      expect(await Player.countBy({ team: 'odd' })).toBe(3)
      expect((await Player.find({ order: { id: 'ASC' } })).map(({ id }) => id)).toEqual(six)
      expect(await Player.findBy({ team: 'odd' })).toHaveLength(3)
      expect(await Player.findOneBy({ id: '4' })).toBeInstanceOf(Player)
      expect(await Player.findOne({ where: { id: '44' } })).toBeNull()
      await expect(Player.findOneByOrFail({ id: '44' })).rejects.toBeInstanceOf(EntityNotFoundError)
      await expect(Player.findOneOrFail({ where: { id: '44' } })).rejects.toBeInstanceOf(EntityNotFoundError)
      expect((await Player.findAndCount({ take: 2, order: { id: 'ASC' } }))[1]).toBe(6)
      expect((await Player.findAndCountBy({ team: 'even' }))[1]).toBe(3)
      expect([await Player.exists(), await Player.existsBy({ team: 'none' })]).toEqual([true, false])
      expect(await Player.sum('score', {})).toBe(21)
      expect(await Player.average('score', {})).toBe(3.5)
      expect([await Player.minimum('score', {}), await Player.maximum('score', {})]).toEqual([1, 6])
      expect((await Player.best(2)).map(({ id }) => id)).toEqual(['6', '5'])
    })

    it('writes by statics', async () => {
      expect((await Player.update({ team: 'odd' }, { team: 'x' })).affected).toBe(3)
      expect((await Player.delete({ team: 'x' })).affected).toBe(3)
      await Player.upsert({ id: '2', team: 'up' }, ['id'])
      expect(await Player.preload({ id: '2', score: 9 })).toMatchObject({ team: 'up', score: 9 })
      const saved = await Player.save(
        Player.create([
          { id: '8', team: 'n' },
          { id: '9', team: 'n' },
        ]),
      )
      expect(saved.every((player) => player instanceof Player)).toBe(true)
      await Player.remove(saved)
      await Player.clear()
      expect(await Player.count()).toBe(0)
    })

    it('writes by instances', async () => {
      const player = Player.create({ id: '7', team: 'new' })
      expect(player.hasId()).toBe(true)
      expect(await player.save()).toBe(player)
      player.team = 'changed'
      await player.save()
      expect((await Player.findOneByOrFail({ id: '7' })).team).toBe('changed')
      await player.softRemove()
      expect(await Player.findOneBy({ id: '7' })).toBeNull()
      await player.recover()
      expect(await player.remove()).toBe(player)
      expect(await Player.existsBy({ id: '7' })).toBe(false)
    })

    it('reloads an instance', async () => {
      const player = await Player.findOneByOrFail({ id: '3' })
      await Player.update({ id: '3' }, { score: 77 })
      await player.reload()
      expect(player.score).toBe(77)
    })

    it('asks the data source of the entity', () => {
      expect(Player.getRepository().manager).toBe(target.dataSource.manager)
    })
  })
})
