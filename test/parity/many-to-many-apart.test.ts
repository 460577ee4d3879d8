import { type DataSource, type EntityManager, In } from 'typeorm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type OpenTargets, openTargets } from '../support/targets'
import {
  Badge,
  Club,
  Course,
  courseId,
  Room,
  Student,
  schoolEntities,
  schoolGroups,
  Teacher,
  writeSchool,
} from './school'
import { comparable } from './stored-rows'

type Script = (manager: EntityManager) => Promise<unknown>

const byId = <T extends { id: unknown }>(rows: readonly T[]): readonly T[] =>
  rows.toSorted((a, b) => (String(a.id) < String(b.id) ? -1 : 1))

const reads: Readonly<Record<string, Script>> = {
  'the side that has the junction': (manager) =>
    manager.find(Student, { relations: { courses: true }, order: { id: 'ASC', courses: { id: 'ASC' } } }),
  'the other side': (manager) =>
    manager.find(Course, { relations: { students: true }, order: { id: 'ASC', students: { id: 'DESC' } } }),
  'both, level after level': (manager) =>
    manager.find(Student, {
      where: { id: In([1, 2, 3, 7]) },
      relations: { courses: { teachers: { courses: true } }, clubs: true },
      order: { id: 'ASC', courses: { id: 'ASC', teachers: { number: 'ASC', courses: { title: 'DESC' } } } },
    }),
  'a relation of an entity with itself': (manager) =>
    manager.find(Student, {
      relations: { friends: { friends: true }, fans: true },
      order: { id: 'ASC', friends: { id: 'ASC', friends: { id: 'DESC' } }, fans: { id: 'ASC' } },
    }),
  'by queries': async (manager) => {
    const found = await manager.find(Student, {
      relations: { courses: { teachers: true }, fans: true },
      relationLoadStrategy: 'query',
      order: { id: 'ASC', courses: { id: 'DESC' }, fans: { id: 'ASC' } },
    })
    return found.map(({ id, courses, fans }) => ({ id, courses, fans: byId(fans) }))
  },
  'deleted rows too': (manager) =>
    manager.find(Student, {
      withDeleted: true,
      relations: { courses: true },
      order: { id: 'ASC', courses: { id: 'ASC' } },
    }),
  'some columns': (manager) =>
    manager.find(Student, {
      select: { id: true, courses: { id: true, title: true } },
      loadEagerRelations: false,
      relations: { courses: true },
      order: { id: 'ASC', courses: { title: 'ASC' } },
    }),
  'a page': (manager) =>
    manager.findAndCount(Student, {
      relations: { courses: true },
      order: { name: 'DESC', courses: { id: 'ASC' } },
      skip: 2,
      take: 4,
    }),
  'a condition on the other side': (manager) =>
    manager.find(Student, { where: { courses: { title: 'course 5' } }, order: { id: 'ASC' } }),
  'a condition on its key': (manager) =>
    manager.find(Course, { where: { students: { id: In([3, 5]) } }, order: { id: 'ASC' } }),
  'a condition on what is loaded': (manager) =>
    manager.find(Student, {
      where: { courses: { schoolId: 1 }, friends: { name: 'student 6' } },
      relations: { courses: true },
      order: { id: 'ASC', courses: { id: 'ASC' } },
    }),
  'an order by it': async (manager) =>
    (
      await manager.find(Student, {
        relations: { courses: true },
        order: { courses: { title: 'DESC' }, id: 'ASC' },
      })
    ).map(({ id, courses }) => [id, courses.map(({ title }) => title)]),
  'a count by it': (manager) => manager.count(Course, { where: { teachers: { name: 'teacher 2' } } }),
  'ids of relations': (manager) =>
    manager.find(Course, {
      loadRelationIds: { relations: ['students', 'teachers'] },
      order: { id: 'ASC' },
    }),
  'ids of one row': (manager) =>
    manager.find(Student, {
      where: { id: 7 },
      loadRelationIds: { relations: ['courses', 'friends', 'clubs'], disableMixedMap: true },
      loadEagerRelations: false,
    }),
  'ids as a property': (manager) => manager.find(Course, { order: { id: 'ASC' } }),
  'ids as a property of one row': (manager) => manager.findOneBy(Course, { id: courseId(2), schoolId: 2 }),
  'ids as a property of a joined row': (manager) =>
    manager.find(Course, { where: { schoolId: 1 }, relations: { after: true }, order: { id: 'ASC' } }),
  'what no foreign key checks': (manager) =>
    manager.find(Room, {
      where: { doors: { club: { name: 'club 3' } } },
      relations: { doors: { doors: true } },
      order: { id: 'ASC', doors: { id: 'ASC', doors: { id: 'ASC' } } },
    }),
  'a lazy one': async (manager) => {
    const course = await manager.findOneByOrFail(Course, { id: courseId(3) })
    return byId(await course.rooms)
  },
  'a lazy one beside others': async (manager) => {
    const found = await manager.find(Course, { relations: { rooms: { club: true } }, order: { id: 'ASC' } })
    return Promise.all(found.map(async ({ rooms }) => byId(await rooms)))
  },
  'of unsharded entities': (manager) =>
    manager.find(Club, {
      relations: { members: { courses: true } },
      order: { id: 'ASC', members: { id: 'ASC', courses: { title: 'DESC' } } },
    }),
  'of unsharded entities without a junction': (manager) =>
    manager.find(Badge, { relations: { students: true }, order: { id: 'ASC', students: { id: 'ASC' } } }),
  'a builder joins them': (manager) =>
    manager
      .createQueryBuilder(Student, 's')
      .leftJoinAndSelect('s.courses', 'c', 'c.schoolId < :most', { most: 3 })
      .innerJoin('s.friends', 'f')
      .where('f.id > 5')
      .orderBy('s.id')
      .addOrderBy('c.id')
      .getMany(),
  'a builder of a relation': async (manager) =>
    byId(await manager.createQueryBuilder(Student, 's').relation('courses').of(7).loadMany<Course>()),
  'a builder of the other side': async (manager) =>
    byId(await manager.createQueryBuilder(Course, 'c').relation('students').of(courseId(2)).loadMany<Student>()),
  'one that lies together is joined': (manager) =>
    manager.find(Course, { relations: { after: true, before: true }, order: { id: 'ASC' } }),
  'a stream': async (manager) => {
    const found: unknown[] = []
    const options = { relations: { courses: true }, order: { id: 'ASC', courses: { id: 'ASC' } } } as const
    const repository = manager.getRepository(Student)
    const rows = 'stream' in repository ? repository.stream : undefined
    if (typeof rows !== 'function') return repository.find(options)
    for await (const one of rows.call(repository, options) as AsyncIterable<Student>) found.push(one)
    return found
  },
}

const writes: Readonly<Record<string, Script>> = {
  'objects that are stored': async (manager) => {
    const courses = await manager.find(Course, { where: { id: In([courseId(1), courseId(6)]) } })
    await manager.save(Student, {
      id: 20,
      name: 'student 20',
      courses: [...byId(courses)],
      friends: [{ id: 3 }, { id: 8 }],
    })
  },
  'objects that are not': (manager) =>
    manager.save(Student, {
      id: 21,
      name: 'student 21',
      courses: [{ id: courseId(40), schoolId: 9, title: 'course 40' } as Course, { id: courseId(2) } as Course],
    }),
  'a cascade changes them': async (manager) => {
    const student = await manager.findOneOrFail(Student, { where: { id: 7 }, relations: { courses: true } })
    for (const course of student.courses) course.title += '!'
    await manager.save(student)
  },
  'a list that is shorter, and longer': async (manager) => {
    const student = await manager.findOneOrFail(Student, {
      where: { id: 7 },
      relations: { courses: true, friends: true },
      order: { courses: { id: 'ASC' } },
    })
    student.courses = [...student.courses.slice(1), await manager.findOneByOrFail(Course, { id: courseId(4) })]
    student.friends = []
    await manager.save(student)
    return student
  },
  'the other side': async (manager) => {
    const course = await manager.findOneOrFail(Course, { where: { id: courseId(5) }, relations: { students: true } })
    course.students = [
      ...byId(course.students).slice(0, 1),
      { id: 11 } as Student,
      manager.create(Student, { id: 22, name: 'student 22' }),
    ]
    await manager.save(course)
    return course
  },
  'fans of a student': async (manager) => {
    const student = await manager.findOneOrFail(Student, { where: { id: 4 }, relations: { fans: true } })
    student.fans = [{ id: 12 } as Student, { id: 4 } as Student]
    await manager.save(student)
  },
  'a new object with its own': (manager) =>
    manager.save(Course, {
      id: courseId(41),
      schoolId: 2,
      title: 'course 41',
      teachers: [
        { subject: 'music', number: 1 },
        { subject: 'maths', number: 4 },
      ],
      students: [{ id: 1 }, { id: 2 }, { id: 23, name: 'student 23' }],
    }),
  'several at once': async (manager) => {
    const students = await manager.find(Student, { where: { id: In([1, 2, 3, 5]) }, relations: { courses: true } })
    const [first] = byId(await manager.find(Course))
    for (const student of students) student.courses = first ? [first] : []
    await manager.save(students)
  },
  'what is not loaded stays': async (manager) => {
    const student = await manager.findOneByOrFail(Student, { id: 6 })
    student.name = 'another'
    await manager.save(student)
  },
  'null takes all away': (manager) => manager.save(Student, { id: 7, courses: null as unknown as Course[] }),
  'one in a list twice': (manager) => manager.save(Student, { id: 24, name: '24', friends: [{ id: 1 }, { id: 1 }] }),
  'what refers to nothing, where no foreign key checks it': (manager) =>
    manager.save(Room, { id: '1', doors: [{ id: '3' }, { id: '99' }] }),
  'an object without a row': (manager) => manager.save(Student, { id: 7, friends: [{ name: 'nobody' } as Student] }),
  'both ends of one link': async (manager) => {
    const student = manager.create(Student, { id: 25, name: 'student 25' })
    const course = manager.create(Course, { id: courseId(42), schoolId: 1, title: 'course 42' })
    student.courses = [course]
    course.students = [student]
    await manager.save(student)
  },
  'removed with its links': async (manager) => {
    await manager.remove(await manager.findOneByOrFail(Student, { id: 7 }))
    await manager.remove(await manager.findOneByOrFail(Course, { id: courseId(3) }))
    await manager.remove(await manager.findOneByOrFail(Teacher, { number: 2 }))
  },
  'deleted with its links': async (manager) => {
    await manager.delete(Student, { id: In([5, 9]) })
    await manager.delete(Course, { id: courseId(6) })
    await manager.delete(Teacher, { subject: 'music' })
    await manager.delete(Room, { id: '2' })
  },
  'a builder adds and removes': async (manager) => {
    const relation = (id: number) => manager.createQueryBuilder(Student, 's').relation('courses').of(id)
    await relation(11).add([courseId(1), courseId(2)])
    await relation(7).remove(courseId(3))
    await relation(10).addAndRemove([courseId(7)], [courseId(1), courseId(4)])
    await manager.createQueryBuilder(Course, 'c').relation('students').of(courseId(4)).add(12)
    await manager
      .createQueryBuilder(Course, 'c')
      .relation('teachers')
      .of(courseId(4))
      .add({ subject: 'maths', number: 4 })
  },
  'unsharded owners': async (manager) => {
    const club = await manager.findOneOrFail(Club, { where: { id: 1 }, relations: { members: true } })
    club.members = [...byId(club.members).slice(2), manager.create(Student, { id: 26, name: 'student 26' })]
    await manager.save(club)
    await manager.remove(await manager.findOneByOrFail(Club, { id: 2 }))
  },
  'clubs of a student': async (manager) => {
    const student = await manager.findOneOrFail(Student, { where: { id: 3 }, relations: { clubs: true, badges: true } })
    student.clubs = [{ id: 3 } as Club]
    student.badges = [{ id: 1 } as Badge, { id: 4 } as Badge]
    await manager.save(student)
  },
  'a removed student leaves clubs': async (manager) => {
    await manager.delete(Student, { id: 4 })
    await manager.remove(await manager.findOneByOrFail(Student, { id: 6 }))
  },
  'SQL links and unlinks': async (manager) => {
    await manager.query(`INSERT INTO student_courses_course ("studentId", "courseId") VALUES ($1, $2), ($3, $2)`, [
      11,
      courseId(1),
      12,
    ])
    await manager.query(`DELETE FROM course_rooms_room WHERE "roomId" = 3`)
    return manager.query(
      `SELECT s.id, count(*)::int AS courses FROM student s JOIN student_courses_course l ON l."studentId" = s.id
       JOIN course c ON c.id = l."courseId" WHERE c.title > 'course 2' GROUP BY s.id ORDER BY s.id`,
    )
  },
  'rolled back': (manager) =>
    manager.transaction(async (inner) => {
      await inner.save(Student, { id: 7, courses: [{ id: courseId(1) } as Course] })
      await inner.remove(await inner.findOneByOrFail(Course, { id: courseId(2) }))
      throw Object.assign(new Error(), { code: 'rolled back' })
    }),
}

/** The rows of all tables, each with the name of its table. */
async function contentsOf(dataSource: DataSource): Promise<readonly string[]> {
  const texts: string[] = []
  for (const { tableName } of dataSource.entityMetadatas) {
    const rows: readonly object[] = await dataSource.query(`SELECT * FROM ${tableName}`)
    texts.push(...rows.map((row) => `${tableName} ${comparable({ ...row })}`))
  }
  return texts.toSorted()
}

/** Eager badges, and ids, have no order. */
function inOrder(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inOrder)
  if (typeof value !== 'object' || value === null || value instanceof Date) return value
  const entries = Object.entries(value).map(([name, one]) => {
    const isLoose = Array.isArray(one) && (name === 'badges' || name.endsWith('Ids'))
    const inner = inOrder(one)
    return [
      name,
      isLoose && Array.isArray(inner) ? inner.toSorted((a, b) => (comparable(a) < comparable(b) ? -1 : 1)) : inner,
    ]
  })
  return Object.assign(Object.create(Object.getPrototypeOf(value)), Object.fromEntries(entries))
}

async function outcomeOf(script: Script, { manager }: DataSource): Promise<unknown> {
  try {
    return inOrder(await script(manager))
  } catch (error) {
    const { code, message } = Object(error)
    return code ? { code } : { message }
  }
}

describe('many-to-many relations between shards', () => {
  let targets: OpenTargets
  beforeAll(async () => {
    const options = { entities: schoolEntities, groups: schoolGroups, onDelete: 'application' } as const
    targets = await openTargets({ ...options, seed: writeSchool })
  })
  afterAll(() => targets?.close())

  it.each(Object.entries(reads))('read: %s', async (_, script) => {
    const expected = await outcomeOf(script, targets.plain)
    for (const { dataSource } of targets.sharded) expect(await outcomeOf(script, dataSource)).toEqual(expected)
  })

  it.each(Object.entries(writes))('write: %s', async (_, script) => {
    const expected = await outcomeOf(script, targets.plain)
    const contents = await contentsOf(targets.plain)
    for (const { dataSource } of targets.sharded) {
      expect(await outcomeOf(script, dataSource)).toEqual(expected)
      expect(await contentsOf(dataSource)).toEqual(contents)
    }
  })
})
