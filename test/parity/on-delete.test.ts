import type { DataSource, EntityManager } from 'typeorm'
import { In, MoreThan } from 'typeorm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type OpenTargets, openTargets } from '../support/targets'
import {
  Folder,
  Member,
  onDeleteEntities,
  onDeleteGroups,
  Pin,
  Post,
  Reply,
  Seal,
  Team,
  writeTeams,
} from './on-delete-world'

type Script = (manager: EntityManager) => Promise<unknown>

const scripts: Readonly<Record<string, Script>> = {
  'what refers to a removed entity goes, level after level': async (manager) => {
    await manager.remove(await manager.findOneByOrFail(Member, { id: 1 }))
  },
  'of criteria': (manager) => manager.delete(Member, { id: In([2, 4, 7]) }),
  'of a builder': (manager) =>
    manager.createQueryBuilder().delete().from(Post).where('id BETWEEN :from AND :to', { from: 45, to: 46 }).execute(),
  'of SQL': (manager) => manager.query('DELETE FROM reply WHERE id > 92'),
  'of a WITH': (manager) =>
    manager.query('WITH gone AS (DELETE FROM member WHERE id = 23 RETURNING id) SELECT id FROM gone'),
  'of what the database deletes itself': (manager) => manager.delete(Team, { id: 6 }),
  'a reference forbids it': (manager) => manager.delete(Post, { id: 9 }),
  'a reference forbids it one level below': (manager) => manager.delete(Team, { id: 2 }),
  'a reference forbids it at once': (manager) => manager.delete(Reply, { id: 60 }),
  'a transaction has failed then': (manager) =>
    manager.transaction(async (inner) => {
      await inner.insert(Folder, { id: 100 })
      const code = await inner.delete(Post, { id: 9 }).catch((error: { code?: string }) => error.code)
      const after = await inner.countBy(Folder, { id: 100 }).catch((error: { code?: string }) => error.code)
      throw Object.assign(new Error(), { code: [code, after] })
    }),
  'what is removed with what refers to it is not forbidden': async (manager) => {
    const post = await manager.findOneOrFail(Post, { where: { id: 9 }, relations: { pins: true } })
    await manager.remove(post)
    return [post.id, post.pins[0]?.id]
  },
  'nor in one call of several entities': async (manager) => {
    const [post, pin] = [
      await manager.findOneByOrFail(Post, { id: 40 }),
      await manager.findOneByOrFail(Pin, { id: 40 }),
    ]
    await manager.remove([post, pin])
  },
  'a tree goes from its root': (manager) => manager.delete(Folder, { id: 3 }),
  'a leaf goes alone': (manager) => manager.delete(Folder, { id: 20 }),
  'a key that is referred to does not change': (manager) => manager.update(Member, { id: 10 }, { id: 1000 }),
  'one that is not does': async (manager) => {
    await manager.insert(Member, { id: 50, teamId: 8 })
    await manager.update(Member, { id: 50 }, { id: 51 })
  },
  'a row that moves to another shard is there': (manager) =>
    manager.update(Member, { id: In([10, 11]) }, { teamId: 8 }),
  'what is softly deleted is there': (manager) => manager.softDelete(Member, { id: 11 }),
  'a table that is referred to is not truncated': (manager) => manager.clear(Reply),
  'nor is one that is empty': async (manager) => {
    await manager.delete(Seal, { id: 1 })
    await manager.delete(Reply, { id: MoreThan(0) })
    await manager.clear(Reply)
  },
  'one that refers to itself is': (manager) => manager.clear(Folder),
  'what is rolled back is there again': (manager) =>
    manager.transaction(async (inner) => {
      await inner.delete(Team, { id: 8 })
      if (await inner.existsBy(Post, { author: { id: 24 } })) throw new Error('It is deleted.')
      throw Object.assign(new Error(), { code: 'rolled back' })
    }),
  'what no row has deletes nothing': (manager) => manager.delete(Member, { id: 999 }),
}

/** The rows of all tables, each with the name of its table. */
async function contentsOf(dataSource: DataSource): Promise<readonly string[]> {
  const texts: string[] = []
  for (const { tableName } of dataSource.entityMetadatas) {
    const rows: readonly object[] = await dataSource.query(`SELECT * FROM ${tableName}`)
    texts.push(
      ...rows.map(
        (row) => `${tableName} ${JSON.stringify({ ...row, deletedAt: 'deletedAt' in row && row.deletedAt !== null })}`,
      ),
    )
  }
  return texts.toSorted()
}

async function outcomeOf(script: Script, { manager }: DataSource): Promise<unknown> {
  try {
    return { value: (await script(manager)) ?? 'done' }
  } catch (error) {
    const { code, message, constraint, detail } = Object(error)
    return code ? { code, constraint, detail } : { message }
  }
}

describe('onDelete that the application does', () => {
  let targets: OpenTargets
  beforeAll(async () => {
    targets = await openTargets({
      entities: onDeleteEntities,
      groups: onDeleteGroups,
      seed: writeTeams,
      onDelete: 'application',
    })
  })
  afterAll(() => targets?.close())

  it.each(Object.entries(scripts))('%s', async (_, script) => {
    const expected = await outcomeOf(script, targets.plain)
    const contents = await contentsOf(targets.plain)
    for (const { dataSource } of targets.sharded) {
      expect(await outcomeOf(script, dataSource)).toEqual(expected)
      expect(await contentsOf(dataSource)).toEqual(contents)
    }
  })
})
