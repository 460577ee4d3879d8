import {
  Column,
  type DataSource,
  DeleteDateColumn,
  Entity,
  JoinTable,
  ManyToMany,
  ManyToOne,
  PrimaryColumn,
  PrimaryGeneratedColumn,
  type Relation,
  RelationId,
} from 'typeorm'
import { hash, Sharded, ShardKey } from '../../src/index'

/** Of no group: its rows are on the home node. */
@Entity()
export class Club {
  @PrimaryColumn('int') id!: number
  @Column('text') name!: string
  @ManyToMany(
    () => Student,
    (student) => student.clubs,
    { cascade: ['insert'] },
  )
  @JoinTable()
  members!: Relation<Student>[]
}

/** Of no group, and on the side of the relation that has no junction. */
@Entity()
export class Badge {
  @PrimaryColumn('int') id!: number
  @Column('text') name!: string
  @ManyToMany(
    () => Student,
    (student) => student.badges,
  )
  students!: Relation<Student>[]
}

@Entity()
@Sharded(hash({ shards: 2 }))
export class Student {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('text') name!: string
  @ManyToMany(
    () => Course,
    (course) => course.students,
    { cascade: true },
  )
  @JoinTable()
  courses!: Relation<Course>[]
  /** Both sides are of one group, and of different keys. */
  @ManyToMany(
    () => Student,
    (student) => student.fans,
  )
  @JoinTable({ name: 'friendship' })
  friends!: Relation<Student>[]
  @ManyToMany(
    () => Student,
    (student) => student.friends,
  )
  fans!: Relation<Student>[]
  @ManyToMany(
    () => Badge,
    (badge) => badge.students,
    { createForeignKeyConstraints: false, eager: true },
  )
  @JoinTable()
  badges!: Relation<Badge>[]
  @ManyToMany(
    () => Club,
    (club) => club.members,
  )
  clubs!: Relation<Club>[]
  @RelationId((student: Student) => student.friends)
  friendIds!: number[]
}

/** Its shard key is not its primary key. */
@Entity()
@Sharded(hash({ shards: 2 }))
export class Course {
  @PrimaryGeneratedColumn('uuid') id!: string
  @ShardKey() @Column('int') schoolId!: number
  @Column('text') title!: string
  @DeleteDateColumn() deletedAt!: Date | null
  @ManyToMany(
    () => Student,
    (student) => student.courses,
    { cascade: ['insert'] },
  )
  students!: Relation<Student>[]
  @ManyToMany(
    () => Teacher,
    (teacher) => teacher.courses,
  )
  @JoinTable()
  teachers!: Relation<Teacher>[]
  @RelationId((course: Course) => course.students) studentIds!: number[]
  @ManyToMany(() => Room, { lazy: true }) @JoinTable() rooms!: Promise<Room[]>
  /** Both lie together, and stay so. */
  @ManyToMany(
    () => Course,
    (course) => course.before,
  )
  @JoinTable({ name: 'order_of_courses' })
  after!: Relation<Course>[]
  @ManyToMany(
    () => Course,
    (course) => course.after,
  )
  before!: Relation<Course>[]
}

@Entity()
@Sharded(hash({ shards: 2 }))
export class Teacher {
  @ShardKey() @PrimaryColumn('text') subject!: string
  @PrimaryColumn('int') number!: number
  @Column('text') name!: string
  @ManyToMany(
    () => Course,
    (course) => course.teachers,
    { onDelete: 'CASCADE' },
  )
  courses!: Relation<Course>[]
}

@Entity()
@Sharded(hash({ shards: 2 }))
export class Room {
  @ShardKey() @PrimaryColumn('bigint') id!: string
  @ManyToOne(() => Club) club!: Relation<Club> | null
  @ManyToMany(() => Room, { createForeignKeyConstraints: false })
  @JoinTable({ name: 'door' })
  doors!: Relation<Room>[]
}

export const schoolEntities = [Club, Badge, Student, Course, Teacher, Room] as const
export const schoolGroups = ['student', 'course', 'teacher', 'room'] as const

/** The id of a course by its number. */
export const courseId = (number: number): string => `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`

const upTo = (count: number): readonly number[] => Array.from({ length: count }, (_, index) => index + 1)

/** Students 1 to 12, courses 1 to 8 of four schools, each with some of the others. */
export async function writeSchool({ manager }: DataSource): Promise<void> {
  await manager.insert(
    Club,
    upTo(3).map((id) => ({ id, name: `club ${id}` })),
  )
  await manager.insert(
    Badge,
    upTo(4).map((id) => ({ id, name: `badge ${id}` })),
  )
  await manager.insert(
    Room,
    upTo(5).map((id) => ({ id: String(id), club: { id: 3 } })),
  )
  await manager.insert(
    Teacher,
    upTo(6).map((number) => ({ subject: ['maths', 'music'][number % 2] ?? '', number, name: `teacher ${number}` })),
  )
  await manager.insert(
    Course,
    upTo(8).map((number) => ({ id: courseId(number), schoolId: number % 4, title: `course ${number}` })),
  )
  await manager.insert(
    Student,
    upTo(12).map((id) => ({ id, name: `student ${id}` })),
  )
  await manager.softDelete(Course, { id: courseId(8) })
  const rows = (table: string, columns: string, values: readonly (readonly (string | number)[])[]) =>
    manager.query(
      `INSERT INTO ${table} (${columns}) VALUES ${values
        .map((row) => `(${row.map((value) => (typeof value === 'string' ? `'${value}'` : value)).join(', ')})`)
        .join(', ')}`,
    )
  await rows(
    'student_courses_course',
    '"studentId", "courseId"',
    upTo(10).flatMap((id) => upTo(id % 4).map((place) => [id, courseId(((id + place * 3) % 8) + 1)])),
  )
  await rows(
    'friendship',
    '"studentId_1", "studentId_2"',
    upTo(9).flatMap((id) => upTo(id % 3).map((place) => [id, ((id + place * 2) % 12) + 1])),
  )
  await rows(
    'student_badges_badge',
    '"studentId", "badgeId"',
    upTo(8).flatMap((id) => upTo(id % 3).map((place) => [id, ((id + place) % 4) + 1])),
  )
  await rows(
    'club_members_student',
    '"clubId", "studentId"',
    upTo(12).map((id) => [(id % 2) + 1, id]),
  )
  await rows(
    'course_teachers_teacher',
    '"courseId", "teacherSubject", "teacherNumber"',
    upTo(8).map((number) => [courseId(number), ['maths', 'music'][number % 2] ?? '', number % 2 === 0 ? 2 : 5]),
  )
  await rows(
    'course_rooms_room',
    '"courseId", "roomId"',
    upTo(7).flatMap((number) => upTo(2).map((place) => [courseId(number), ((number + place) % 5) + 1])),
  )
  await rows(
    'door',
    '"roomId_1", "roomId_2"',
    upTo(5).map((id) => [id, (id % 5) + 1]),
  )
  await rows('order_of_courses', '"courseId_1", "courseId_2"', [[courseId(1), courseId(5)]])
}
