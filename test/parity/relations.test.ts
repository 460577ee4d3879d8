import { type DeepPartial, In, MoreThan } from 'typeorm'
import { beforeEach, describe, expect, it } from 'vitest'
import { ShardedError } from '../../src/index'
import { onTargets } from '../support/targets'
import { Badge, family, Member, Note, Skill, Team, teamIds } from './family'

describe('relations inside a shard', () => {
  onTargets(family, (target) => {
    const teams = () => target.dataSource.getRepository(Team)
    const members = () => target.dataSource.getRepository(Member)

    /** Eight teams, team n with n members of ranks 1 … n; a badge for the even ones. */
    const build = (): DeepPartial<Team>[] =>
      teamIds.map((id) => ({
        id,
        name: `team ${id}`,
        members: Array.from({ length: id }, (_, index) => ({ name: `m${id}.${index + 1}`, rank: index + 1 })),
        ...(id % 2 === 0 && { badge: { colour: id > 4 ? 'red' : 'blue' } }),
      }))
    const names = (list: readonly { name: string }[] | undefined) => list?.map(({ name }) => name).sort()

    describe('that are read', () => {
      beforeEach(async () => {
        await teams().save(build())
      })

      it('loads children with their parents, joined or by a query', async () => {
        for (const relationLoadStrategy of ['join', 'query'] as const) {
          const found = await teams().find({ relations: { members: true }, order: { id: 'ASC' }, relationLoadStrategy })
          expect(found.map(({ id }) => id)).toEqual(teamIds)
          for (const team of found) {
            expect(team.members).toHaveLength(team.id)
            expect(team.members.every((member) => member instanceof Member && member.teamId === team.id)).toBe(true)
          }
          const one = await teams().findOne({ where: { id: 5 }, relations: { members: true }, relationLoadStrategy })
          expect(names(one?.members)).toEqual(['m5.1', 'm5.2', 'm5.3', 'm5.4', 'm5.5'])
        }
      })

      it('loads eager relations, unless told not to', async () => {
        const found = await teams().find({ order: { id: 'ASC' } })
        expect(found.map(({ badge }) => badge?.colour)).toEqual([
          undefined,
          'blue',
          undefined,
          'blue',
          undefined,
          'red',
          undefined,
          'red',
        ])
        expect(found[1]?.badge).toBeInstanceOf(Badge)
        expect((await teams().findOneByOrFail({ id: 2 })).badge).toEqual({ teamId: 2, colour: 'blue' })
        const bare = await teams().find({ loadEagerRelations: false, order: { id: 'ASC' } })
        expect(bare.every((team) => !('badge' in team))).toBe(true)
        expect(bare).toHaveLength(8)
      })

      it('pages over parents, not over joined rows', async () => {
        const page = { relations: { members: true }, order: { name: 'DESC' as const }, skip: 1, take: 3 }
        const [found, count] = await teams().findAndCount(page)
        expect(found.map(({ id, members }) => [id, members.length])).toEqual([
          [7, 7],
          [6, 6],
          [5, 5],
        ])
        expect(count).toBe(8)
      })

      it('orders by a to-one relation', async () => {
        const found = await members().find({
          relations: { team: true },
          order: { team: { name: 'DESC' }, rank: 'ASC' },
          take: 10,
        })
        expect(found.map(({ name }) => name)).toEqual([
          ...Array.from({ length: 8 }, (_, index) => `m8.${index + 1}`),
          'm7.1',
          'm7.2',
        ])
        expect(found[0]?.team).toBeInstanceOf(Team)
        expect(found[0]?.team).toMatchObject({ id: 8, name: 'team 8' })
      })

      it('finds by conditions on relations', async () => {
        const big = await teams().find({ where: { members: { rank: MoreThan(6) } }, order: { id: 'ASC' } })
        expect(big.map(({ id }) => id)).toEqual([7, 8])
        expect(await members().countBy({ team: { name: In(['team 2', 'team 7']) } })).toBe(9)
        expect(await teams().countBy({ members: { rank: 3 } })).toBe(6)
        expect(await teams().existsBy({ members: { name: 'm8.9' } })).toBe(false)
        expect(await members().countBy({ team: { badge: { colour: 'red' } } })).toBe(14)
        const joined = await teams().find({
          where: [{ members: { name: 'm3.3' } }, { badge: { colour: 'red' } }],
          relations: { members: true },
          order: { id: 'ASC' },
        })
        expect(joined.map(({ id, members }) => [id, members.length])).toEqual([
          [3, 1],
          [6, 6],
          [8, 8],
        ])
      })

      it('selects columns of relations, and their ids', async () => {
        const found = await teams().find({
          select: { id: true, members: { id: true, name: true } },
          relations: { members: true },
          loadEagerRelations: false,
          where: { id: In([1, 2]) },
          order: { id: 'ASC' },
        })
        expect(found[0]).toEqual({ id: 1, members: [{ id: expect.any(String), name: 'm1.1' }] })
        for (const select of [{ members: { name: true } }, { members: { name: true }, id: false }] as const) {
          const whole = await teams().find({ select, relations: { members: true }, loadEagerRelations: false, take: 1 })
          expect(whole).toMatchObject([{ id: expect.any(Number), name: expect.any(String) }])
        }
        const named = await teams().find({
          select: { name: true },
          relations: { members: true },
          loadEagerRelations: false,
          order: { id: 'ASC' },
        })
        expect(Object.keys(named[0] ?? {}).sort()).toEqual(['members', 'name'])
        const withIds = await members().find({ loadRelationIds: true, where: { rank: 8 } })
        expect(withIds).toMatchObject([{ name: 'm8.8', team: 8 }])
      })

      it('loads lazily from the shard of the entity, also many at once', async () => {
        const notes = target.dataSource.getRepository(Note)
        const all = await teams().find({ order: { id: 'ASC' } })
        for (const team of all) {
          const note = notes.create({ text: `n${team.id}`, teamId: team.id })
          note.team = Promise.resolve(team)
          await notes.save(note)
        }
        const again = await teams().find({ order: { id: 'ASC' } })
        const loaded = await Promise.all(again.map((team) => team.notes))
        expect(loaded.map((list) => list.map(({ text }) => text))).toEqual(teamIds.map((id) => [`n${id}`]))
        const [note] = await notes.find({ where: { text: 'n6' } })
        expect(note).toBeInstanceOf(Note)
        expect(await note?.team).toMatchObject({ id: 6, name: 'team 6' })
      })
    })

    describe('that are written', () => {
      it('cascades into children, which get the shard key', async () => {
        const [team] = await teams().save(
          teams().create([{ id: 3, name: 't', members: [{ name: 'a' }, { name: 'b' }] }]),
        )
        expect(team?.members.map(({ teamId }) => teamId)).toEqual([3, 3])
        expect(team?.members.every(({ id }) => id.length === 36)).toBe(true)
        expect(await members().countBy({ teamId: 3 })).toBe(2)
      })

      it('updates, adds and removes children of a loaded parent', async () => {
        await teams().save(build())
        const team = await teams().findOneOrFail({ where: { id: 4 }, relations: { members: true } })
        const [first, second] = team.members.sort((a, b) => a.rank - b.rank)
        if (!first || !second) throw new Error('It has members.')
        first.name = 'changed'
        team.members = [first, second, members().create({ name: 'new' })]
        await teams().save(team)
        expect(names(await members().findBy({ teamId: 4 }))).toEqual(['changed', 'm4.2', 'new'])
        expect(await members().count()).toBe(36 - 2 + 1)
      })

      it('removes parents with their children', async () => {
        await teams().save(build())
        await teams().remove(await teams().find({ where: { id: In([1, 2, 8]) } }))
        expect(await members().count()).toBe(36 - 11)
        expect(await target.dataSource.getRepository(Badge).count()).toBe(2)
      })

      it('saves a child by its parent', async () => {
        const all = await teams().save(build())
        const saved = await members().save(members().create(all.map((team) => ({ name: `x${team.id ?? 0}`, team }))))
        expect(saved.map(({ team }) => team.id)).toEqual(teamIds)
        expect(await members().countBy({ name: 'x3', teamId: 3 })).toBe(1)
      })

      it('keeps a tree inside the shard', async () => {
        await teams().save(build())
        const teamId = 5
        const reports = [
          { teamId, name: 'left', reports: [{ teamId, name: 'leaf' }] },
          { teamId, name: 'right' },
        ]
        const root = await members().save(members().create({ teamId, name: 'root', reports }))
        const loaded = await members().findOneOrFail({
          where: { name: 'root' },
          relations: { reports: { reports: true }, lead: true },
        })
        expect(names(loaded.reports)).toEqual(['left', 'right'])
        expect(loaded.lead).toBeNull()
        const leaf = await members().findOneOrFail({ where: { name: 'leaf' }, relations: { lead: { lead: true } } })
        expect(leaf.lead?.lead).toMatchObject({ name: 'root', id: root.id })
        expect(await members().countBy({ lead: { name: 'root' } })).toBe(2)
      })

      it('links many to many', async () => {
        await teams().save(teamIds.map((id) => ({ id, name: `team ${id}` })))
        for (const teamId of teamIds)
          await members().save(
            members().create({
              teamId,
              name: `m${teamId}`,
              skills: ['go', `s${teamId}`].map((name) => ({ teamId, name })),
            }),
          )
        const skills = target.dataSource.getRepository(Skill)
        expect(await skills.count()).toBe(16)
        const found = await members().find({ relations: { skills: true }, order: { teamId: 'ASC' } })
        expect(found.map(({ skills }) => names(skills))).toEqual(teamIds.map((id) => ['go', `s${id}`]))
        expect((await members().find({ where: { skills: { name: 's4' } } })).map(({ name }) => name)).toEqual(['m4'])
        const [member] = found
        if (!member) throw new Error('It is there.')
        member.skills = member.skills.filter(({ name }) => name === 'go')
        await members().save(member)
        const again = await skills.find({ where: { teamId: 1 }, relations: { members: true }, order: { name: 'ASC' } })
        expect(again.map(({ name, members }) => [name, members.length])).toEqual([
          ['go', 1],
          ['s1', 0],
        ])
      })

      it.runIf(target.shards > 0)('gives the shard key to all that hangs on an entity', async () => {
        await teams().save({ id: 6, name: 't' })
        const root = members().create({
          teamId: 6,
          name: 'root',
          reports: [{ name: 'left', reports: [{ name: 'leaf' }] }],
          skills: [{ name: 'go' }],
        })
        await members().save(root)
        expect(root.reports[0]?.reports[0]?.teamId).toBe(6)
        expect(await members().countBy({ teamId: 6 })).toBe(3)
        expect(await target.dataSource.getRepository(Skill).find()).toEqual([{ name: 'go', teamId: 6 }])
      })

      it.runIf(target.shards > 0)('refuses a child of another key', async () => {
        const team = teams().create({ id: 1, name: 't', members: [{ name: 'a', teamId: 2 }] })
        const error: unknown = await teams()
          .save(team)
          .catch((thrown: unknown) => thrown)
        expect(error).toBeInstanceOf(ShardedError)
        expect(error).toMatchObject({ code: 'KEY_CONFLICT', details: { entity: 'Team', relation: 'members' } })
        expect(await teams().count()).toBe(0)
      })
    })
  })
})
