import { Column, Entity, JoinColumn, ManyToOne, PrimaryColumn, type Relation } from 'typeorm'
import { describe, expect, it } from 'vitest'
import { hash, Sharded, ShardedDataSource, ShardKey } from '../../src/index'
import { Badge, family, Member, Note, Skill, Team } from '../parity/family'
import { createDatabases } from '../support/databases'

@Entity()
@Sharded(hash({ shards: 4 }))
class Tariff {
  @ShardKey()
  @PrimaryColumn('numeric')
  rate!: string
}

@Entity()
@Sharded({ colocatedWith: () => Tariff })
class Fee {
  @PrimaryColumn('int')
  id!: number

  @ShardKey()
  @Column('numeric')
  rate!: string

  @ManyToOne(() => Tariff, { createForeignKeyConstraints: false })
  @JoinColumn({ name: 'rate' })
  tariff!: Relation<Tariff>
}

/** Every table of the group, as it stands on all shards. */
async function everything(dataSource: ShardedDataSource): Promise<Record<string, unknown>> {
  const rows = async (text: string) => dataSource.query(text) as Promise<unknown>
  return {
    teams: await rows('SELECT * FROM team ORDER BY id'),
    members: await rows('SELECT name, "teamId", rank, "leadId" IS NOT NULL AS led FROM member ORDER BY name'),
    skills: await rows('SELECT name, "teamId" FROM skill ORDER BY name, "teamId"'),
    notes: await rows('SELECT text, "teamId" FROM note ORDER BY text'),
    badges: await rows('SELECT "teamId", colour FROM badge ORDER BY "teamId"'),
    links: await rows(
      'SELECT m.name, s."skillName", s."skillTeamId" FROM member_skill s JOIN member m ON m.id = s."memberId" ORDER BY 1, 2',
    ),
  }
}

describe('move with children', () => {
  it('takes all rows of a root’s shard key: relations, trees, junction tables', async () => {
    const { nodes, drop } = await createDatabases(2)
    const dataSource = new ShardedDataSource({
      type: 'postgres',
      entities: [...family.entities],
      nodes: { a: { url: nodes[0] ?? '' }, b: { url: nodes[1] ?? '' } },
      groups: { team: { shards: hash({ shards: 4 }) } },
    })
    try {
      await dataSource.initialize()
      await dataSource.synchronize()
      const teams = dataSource.getRepository(Team)
      for (const id of [1, 2]) {
        await teams.save({ id, name: `team ${id}`, badge: { colour: 'red' } })
        await dataSource.getRepository(Skill).save([
          { name: 'sql', teamId: id },
          { name: 'ts', teamId: id },
        ])
        const lead = await dataSource.getRepository(Member).save({ name: `lead ${id}`, teamId: id })
        await dataSource.getRepository(Member).save({
          name: `member ${id}`,
          teamId: id,
          lead: { id: lead.id },
          skills: [
            { name: 'sql', teamId: id },
            { name: 'ts', teamId: id },
          ],
        })
        await dataSource.getRepository(Note).save({ teamId: id, text: `note ${id}` })
      }
      const keyOf = (id: number) => dataSource.locate(Team, id).shard
      const before = await everything(dataSource)
      const far = Array.from({ length: 50 }, (_, index) => index + 10).find((id) => keyOf(id) !== keyOf(1)) ?? 0
      const near = Array.from({ length: 500 }, (_, index) => index + 100).find((id) => keyOf(id) === keyOf(1)) ?? 0
      for (const key of [far, near, 1]) {
        const team = await teams.findOneByOrFail({ name: 'team 1' })
        await expect(teams.move(team, 77)).rejects.toMatchObject({
          ...(keyOf(77) === keyOf(team.id) ? {} : { code: 'MOVE_LEAVES_CHILDREN' }),
        })
        await teams.move(team, key, { children: true })
        expect(team.id).toBe(key)
        const now = JSON.parse(
          JSON.stringify(await everything(dataSource)).replaceAll(new RegExp(`:${key}([,}])`, 'g'), ':1$1'),
        ) as { [table: string]: object[] }
        const sorted = (all: Record<string, unknown>) =>
          Object.entries(all).map(([name, rows]) => [name, (rows as object[]).map((row) => JSON.stringify(row)).sort()])
        expect(sorted(now)).toEqual(sorted(before))
        expect(await dataSource.getRepository(Badge).countBy({ teamId: key })).toBe(1)
      }
    } finally {
      if (dataSource.isInitialized) await dataSource.destroy()
      await drop()
    }
  })

  it('knows equal keys by their values, and not by their texts', async () => {
    const { nodes, drop } = await createDatabases(2)
    const dataSource = new ShardedDataSource({
      type: 'postgres',
      entities: [Tariff, Fee],
      nodes: { a: { url: nodes[0] ?? '' }, b: { url: nodes[1] ?? '' } },
    })
    try {
      await dataSource.initialize()
      await dataSource.synchronize()
      const tariffs = dataSource.getRepository(Tariff)
      await tariffs.insert({ rate: '1.0' })
      await dataSource.getRepository(Fee).insert([
        { id: 1, rate: '1.00' },
        { id: 2, rate: '1' },
      ])
      const home = dataSource.locate(Tariff, '1').shard
      const far = ['2.5', '3.5', '4.5', '5.5'].find((rate) => dataSource.locate(Tariff, rate).shard !== home) ?? ''
      await tariffs.move(await tariffs.findOneByOrFail({ rate: '1' }), far, { children: true })
      expect(await dataSource.getRepository(Fee).find({ where: { rate: far }, order: { id: 'ASC' } })).toEqual([
        { id: 1, rate: far },
        { id: 2, rate: far },
      ])
      expect(await dataSource.getRepository(Fee).count()).toBe(2)
    } finally {
      if (dataSource.isInitialized) await dataSource.destroy()
      await drop()
    }
  })
})
