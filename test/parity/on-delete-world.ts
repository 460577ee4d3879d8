import {
  Column,
  type DataSource,
  DeleteDateColumn,
  Entity,
  JoinColumn,
  ManyToOne,
  OneToMany,
  PrimaryColumn,
  type Relation,
} from 'typeorm'
import { hash, Sharded, ShardKey } from '../../src/index'

@Entity()
@Sharded(hash({ shards: 2 }))
export class Team {
  @ShardKey() @PrimaryColumn('int') id!: number
}

/** Lies with its team, which the database deletes it with. */
@Entity()
@Sharded({ colocatedWith: () => Team }, { onKeyChange: 'move' })
export class Member {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') teamId!: number
  @ManyToOne(() => Team, { onDelete: 'CASCADE' }) @JoinColumn({ name: 'teamId' }) team!: Relation<Team>
  @DeleteDateColumn() deletedAt!: Date | null
}

@Entity()
@Sharded(hash({ shards: 2 }))
export class Post {
  @ShardKey() @PrimaryColumn('int') id!: number
  @ManyToOne(() => Member, { onDelete: 'CASCADE' }) author!: Relation<Member> | null
  @OneToMany(
    () => Pin,
    (pin) => pin.post,
    { cascade: ['remove'] },
  )
  pins!: Relation<Pin>[]
}

@Entity()
@Sharded({ colocatedWith: () => Post })
export class Reply {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') postId!: number
  @ManyToOne(() => Post, { onDelete: 'CASCADE' }) @JoinColumn({ name: 'postId' }) post!: Relation<Post>
}

@Entity()
@Sharded(hash({ shards: 2 }))
export class Vote {
  @ShardKey() @PrimaryColumn('int') id!: number
  @ManyToOne(() => Reply, { onDelete: 'SET NULL' }) reply!: Relation<Reply> | null
}

/** Keeps its post from being deleted. */
@Entity()
@Sharded(hash({ shards: 2 }))
export class Pin {
  @ShardKey() @PrimaryColumn('int') id!: number
  @ManyToOne(
    () => Post,
    (post) => post.pins,
  )
  post!: Relation<Post> | null
}

/** Forbids it at once. */
@Entity()
@Sharded(hash({ shards: 2 }))
export class Seal {
  @ShardKey() @PrimaryColumn('int') id!: number
  @ManyToOne(() => Reply, { onDelete: 'RESTRICT' }) reply!: Relation<Reply> | null
}

/** Of no group. */
@Entity()
export class Preference {
  @PrimaryColumn('int') id!: number
  @ManyToOne(() => Member, { onDelete: 'CASCADE' }) member!: Relation<Member>
}

/** Folders in folders, each on a shard of its own. */
@Entity()
@Sharded(hash({ shards: 2 }))
export class Folder {
  @ShardKey() @PrimaryColumn('int') id!: number
  @ManyToOne(() => Folder, { onDelete: 'CASCADE' }) parent!: Relation<Folder> | null
}

export const onDeleteEntities = [Team, Member, Post, Reply, Vote, Pin, Seal, Preference, Folder] as const
export const onDeleteGroups = ['team', 'post', 'vote', 'pin', 'seal', 'folder'] as const

const numbers = (length: number): readonly number[] => Array.from({ length }, (_, index) => index + 1)

/** Of each team three members, of each of these two posts with two replies. */
export async function writeTeams({ manager }: DataSource): Promise<void> {
  const part = (id: number, of: number): number => Math.ceil(id / of)
  await manager.insert(
    Team,
    numbers(8).map((id) => ({ id })),
  )
  await manager.insert(
    Member,
    numbers(24).map((id) => ({ id, teamId: part(id, 3) })),
  )
  await manager.insert(
    Post,
    numbers(48).map((id) => ({ id, author: { id: part(id, 2) } })),
  )
  await manager.insert(
    Reply,
    numbers(96).map((id) => ({ id, postId: part(id, 2) })),
  )
  await manager.insert(
    Vote,
    numbers(96).map((id) => ({ id, reply: { id } })),
  )
  await manager.insert(
    Preference,
    numbers(24).map((id) => ({ id, member: { id } })),
  )
  await manager.insert(
    Pin,
    [9, 40].map((id) => ({ id, post: { id } })),
  )
  await manager.insert(Seal, { id: 1, reply: { id: 60 } })
  for (const id of numbers(20)) await manager.insert(Folder, { id, parent: id === 1 ? null : { id: id >> 1 } })
}
