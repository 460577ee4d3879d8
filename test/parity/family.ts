import {
  Column,
  Entity,
  JoinColumn,
  JoinTable,
  ManyToMany,
  ManyToOne,
  OneToMany,
  OneToOne,
  PrimaryColumn,
  PrimaryGeneratedColumn,
  type Relation,
} from 'typeorm'
import { hash, Sharded, ShardKey } from '../../src/index'

/** Every kind of relation between entities of one colocation group. */
@Entity()
@Sharded(hash({ shards: 3 }))
export class Team {
  @ShardKey()
  @PrimaryColumn('int')
  id!: number

  @Column()
  name!: string

  @OneToMany(
    () => Member,
    (member) => member.team,
    { cascade: true },
  )
  members!: Relation<Member>[]

  @OneToMany(
    () => Note,
    (note) => note.team,
  )
  notes!: Promise<Note[]>

  @OneToOne(
    () => Badge,
    (badge) => badge.team,
    { cascade: true, eager: true },
  )
  badge!: Relation<Badge> | null
}

@Entity()
@Sharded({ colocatedWith: () => Team })
export class Member {
  @PrimaryGeneratedColumn('uuid')
  id!: string

  @ShardKey()
  @Column('int')
  teamId!: number

  @ManyToOne(
    () => Team,
    (team) => team.members,
    { onDelete: 'CASCADE', orphanedRowAction: 'delete' },
  )
  @JoinColumn({ name: 'teamId' })
  team!: Relation<Team>

  @Column()
  name!: string

  @Column('int', { default: 0 })
  rank!: number

  /** A tree inside the shard. */
  @ManyToOne(
    () => Member,
    (member) => member.reports,
    { nullable: true, onDelete: 'SET NULL' },
  )
  lead!: Relation<Member> | null

  @OneToMany(
    () => Member,
    (member) => member.lead,
    { cascade: true },
  )
  reports!: Relation<Member>[]

  @ManyToMany(
    () => Skill,
    (skill) => skill.members,
    { cascade: true },
  )
  @JoinTable({ name: 'member_skill' })
  skills!: Relation<Skill>[]
}

@Entity()
@Sharded({ colocatedWith: () => Team })
export class Skill {
  @PrimaryColumn()
  name!: string

  @ShardKey()
  @PrimaryColumn('int')
  teamId!: number

  @ManyToMany(
    () => Member,
    (member) => member.skills,
  )
  members!: Relation<Member>[]
}

@Entity()
@Sharded({ colocatedWith: () => Team })
export class Note {
  @PrimaryGeneratedColumn('uuid')
  id!: string

  @ShardKey()
  @Column('int')
  teamId!: number

  @ManyToOne(
    () => Team,
    (team) => team.notes,
    { lazy: true, onDelete: 'CASCADE' },
  )
  @JoinColumn({ name: 'teamId' })
  team!: Promise<Team>

  @Column()
  text!: string
}

@Entity()
@Sharded({ colocatedWith: () => Team })
export class Badge {
  @ShardKey()
  @PrimaryColumn('int')
  teamId!: number

  @OneToOne(
    () => Team,
    (team) => team.badge,
    { onDelete: 'CASCADE' },
  )
  @JoinColumn({ name: 'teamId' })
  team!: Relation<Team>

  @Column()
  colour!: string
}

export const family = { entities: [Team, Member, Skill, Note, Badge], groups: ['team'] } as const

export const teamIds: readonly number[] = [1, 2, 3, 4, 5, 6, 7, 8]
