import { composite, type ErrorCode, list, range, shardedSchema } from '../../../src/index'
import { beside, type Graph, id, int, joinedBy, many, plain, reference, sharded, text, to, two, viewOf } from './graph'

/** What a start refuses, the way out that it recommends, and the entities after it. */
export interface Refusal {
  readonly code: ErrorCode
  readonly what: string
  /** As the error says it: where it changes, so do the ways. */
  readonly fix: string
  readonly refused: Graph
  /** By what was done. */
  readonly ways: Readonly<Record<string, Graph>>
  /** With the option `onDelete: 'application'`. */
  readonly byApplication?: Graph
}

const owner = () => sharded('Owner')
const ownerKey = { id, ownerId: int }
const colocated = { by: beside('Owner'), key: ['ownerId'] }

const keyFixes = {
  column: 'Mark a column that the application sets and nothing else writes; declare one beside this column for it.',
  type: 'Use a column type that the function takes, or another function.',
  action: 'Leave the action out. For ON DELETE, CASCADE may take its place.',
}

const keys: readonly Refusal[] = [
  {
    code: 'ENTITY_WITHOUT_SHARD_KEY',
    what: 'no column is marked',
    fix: 'Mark the column with @ShardKey().',
    refused: () => [sharded('Paper', { key: [] })],
    ways: { 'the column marked': () => [sharded('Paper')] },
  },
  {
    code: 'KEY_TYPE_UNSUPPORTED',
    what: 'a key that a range cannot compare',
    fix: keyFixes.type,
    refused: () => [
      sharded('Paper', {
        columns: { id: { type: 'boolean', primary: true } },
        by: range({ shards: { all: [null, null] } }),
      }),
    ],
    ways: {
      'another type': () => [sharded('Paper', { by: range({ shards: { all: [null, null] } }) })],
      'another function': () => [sharded('Paper', { columns: { id: { type: 'boolean', primary: true } } })],
    },
  },
  {
    code: 'KEY_COLUMN_INVALID',
    what: 'a key that an update sets',
    fix: keyFixes.column,
    refused: () => [
      sharded('Paper', { columns: { id, seen: { type: 'timestamptz', updateDate: true } }, key: ['seen'] }),
    ],
    ways: {
      'another column': () => [sharded('Paper', { columns: { id, seen: { type: 'timestamptz', updateDate: true } } })],
      'one beside it': () => [
        sharded('Paper', {
          columns: { id, seen: { type: 'timestamptz', updateDate: true }, made: { type: 'timestamptz' } },
          key: ['made'],
        }),
      ],
    },
  },
  {
    code: 'KEY_COLUMN_INVALID',
    what: 'a key that the database sets to NULL',
    fix: keyFixes.action,
    refused: () => [
      owner(),
      sharded('Paper', {
        columns: { id, ownerId: { type: 'int', nullable: true } },
        ...colocated,
        relations: { owner: to('Owner', { ...joinedBy('ownerId'), onDelete: 'SET NULL' }) },
      }),
    ],
    ways: {
      'no action': () => [
        owner(),
        sharded('Paper', { columns: ownerKey, ...colocated, relations: { owner: to('Owner', joinedBy('ownerId')) } }),
      ],
      CASCADE: () => [
        owner(),
        sharded('Paper', {
          columns: ownerKey,
          ...colocated,
          relations: { owner: to('Owner', { ...joinedBy('ownerId'), onDelete: 'CASCADE' }) },
        }),
      ],
    },
  },
  {
    code: 'FUNCTION_INVALID',
    what: 'more key columns than the function takes',
    fix: 'Correct the declaration of the sharding function.',
    refused: () => [
      sharded('Paper', { columns: ownerKey, by: range({ shards: { all: [null, null] } }), key: ['id', 'ownerId'] }),
    ],
    ways: {
      'one column': () => [sharded('Paper', { columns: ownerKey, by: range({ shards: { all: [null, null] } }) })],
      'a function of two': () => [
        sharded('Paper', {
          columns: ownerKey,
          by: composite(list({ shards: { low: [1] } }), two),
          key: ['id', 'ownerId'],
        }),
      ],
    },
  },
]

const groups: readonly Refusal[] = [
  {
    code: 'GROUP_CONFLICT',
    what: 'two functions of one group',
    fix: 'Use @Sharded({ colocatedWith }) on all but one entity of the group, or give the groups different names.',
    refused: () => [owner(), sharded('Paper', { options: { group: 'owner' } })],
    ways: {
      colocatedWith: () => [owner(), sharded('Paper', { by: beside('Owner') })],
      'another name': () => [owner(), sharded('Paper', { options: { group: 'papers' } })],
    },
  },
  {
    code: 'COLOCATION_INVALID',
    what: 'keys of unlike types',
    fix: 'Make the shard keys alike.',
    refused: () => [owner(), sharded('Paper', { columns: { id, ownerId: text }, ...colocated })],
    ways: { 'like types': () => [owner(), sharded('Paper', { columns: ownerKey, ...colocated })] },
  },
  {
    code: 'COLOCATION_INVALID',
    what: 'colocated with what is not sharded',
    fix: 'Name a sharded entity of the data source, or give the entity a sharding function.',
    refused: () => [plain('Owner'), sharded('Paper', { by: beside('Owner') })],
    ways: {
      'a sharded one': () => [owner(), sharded('Paper', { by: beside('Owner') })],
      'a function': () => [plain('Owner'), sharded('Paper')],
    },
  },
  {
    code: 'COLOCATION_INVALID',
    what: 'colocated in a circle',
    fix: 'Give one of them a sharding function in place of colocatedWith.',
    refused: () => [sharded('Owner', { by: beside('Paper') }), sharded('Paper', { by: beside('Owner') })],
    ways: { 'a function': () => [owner(), sharded('Paper', { by: beside('Owner') })] },
  },
  {
    code: 'COLOCATION_INVALID',
    what: 'a table that has another key',
    fix: 'Mark the same columns as the shard key of both, or give one of them another table.',
    refused: () => [
      owner(),
      sharded('Paper', { columns: ownerKey, ...colocated, table: 'sheet' }),
      sharded('Page', { columns: ownerKey, by: beside('Owner'), table: 'sheet' }),
    ],
    ways: {
      'the same columns': () => [
        owner(),
        sharded('Paper', { columns: ownerKey, ...colocated, table: 'sheet' }),
        sharded('Page', { columns: ownerKey, ...colocated, table: 'sheet' }),
      ],
      'another table': () => [
        owner(),
        sharded('Paper', { columns: ownerKey, ...colocated, table: 'sheet' }),
        sharded('Page', { columns: ownerKey, by: beside('Owner') }),
      ],
    },
  },
  {
    code: 'NAME_INVALID',
    what: 'a schema of its own',
    fix: 'Leave the schema out. The option group of @Sharded gives the schemas another name.',
    refused: () => [sharded('Paper', { schema: 'own' })],
    ways: {
      'no schema': () => [sharded('Paper')],
      'a group': () => [sharded('Paper', { options: { group: 'own' } })],
    },
  },
]

const idFix = 'Correct the column, or the kind of id that @ShardedId() names.'
const numbered = { id: { ...id, generated: 'increment' }, ownerId: int } as const

const constraints: readonly Refusal[] = [
  {
    code: 'UNIQUE_WITHOUT_SHARD_KEY',
    what: 'a unique constraint without the key',
    fix: 'Add the shard key to the constraint, use @GlobalUnique, or say perShardUnique: true in @Sharded when uniqueness inside each shard is meant.',
    refused: () => [sharded('Paper', { columns: { id, name: text }, unique: ['name'] })],
    ways: {
      'with the key': () => [sharded('Paper', { columns: { id, name: text }, unique: ['id', 'name'] })],
      GlobalUnique: () => [
        sharded('Paper', { columns: { id, name: text }, lookups: [{ properties: ['name'], unique: true }] }),
      ],
      perShardUnique: () => [
        sharded('Paper', { columns: { id, name: text }, unique: ['name'], options: { perShardUnique: true } }),
      ],
    },
  },
  {
    code: 'SEQUENCE_ON_SHARDED_ENTITY',
    what: 'an id of a sequence',
    fix: "Use @PrimaryColumn('int') @ShardedId('sequence') for an integer of any size, @PrimaryColumn('bigint') @ShardedId() for an id that tells its shard, or @PrimaryGeneratedColumn('uuid'), or assign the id yourself.",
    refused: () => [sharded('Paper', { columns: numbered, key: ['ownerId'] })],
    ways: {
      "@ShardedId('sequence')": () => [
        sharded('Paper', { columns: ownerKey, key: ['ownerId'], id: { property: 'id', kind: 'sequence' } }),
      ],
      '@ShardedId()': () => [
        sharded('Paper', {
          columns: { id: { type: 'bigint', primary: true }, ownerId: int },
          key: ['ownerId'],
          id: { property: 'id' },
        }),
      ],
      uuid: () => [
        sharded('Paper', {
          columns: { id: { type: 'uuid', primary: true, generated: 'uuid' }, ownerId: int },
          key: ['ownerId'],
        }),
      ],
      'an id of its own': () => [sharded('Paper', { columns: ownerKey, key: ['ownerId'] })],
    },
  },
  {
    code: 'ID_COLUMN_INVALID',
    what: 'an id of another type',
    fix: idFix,
    refused: () => [sharded('Paper', { columns: ownerKey, key: ['ownerId'], id: { property: 'id' } })],
    ways: {
      'the column': () => [
        sharded('Paper', {
          columns: { id: { type: 'bigint', primary: true }, ownerId: int },
          key: ['ownerId'],
          id: { property: 'id' },
        }),
      ],
      'the kind': () => [
        sharded('Paper', { columns: ownerKey, key: ['ownerId'], id: { property: 'id', kind: 'sequence' } }),
      ],
    },
  },
  {
    code: 'LOOKUP_INVALID',
    what: 'a lookup of the whole key',
    fix: 'Correct the declaration that is named.',
    refused: () => [sharded('Paper', { lookups: [{ properties: ['id'], unique: true }] })],
    ways: { 'left out': () => [sharded('Paper', { unique: ['id'] })] },
  },
  {
    code: 'REFERENCE_INVALID',
    what: 'a reference table that is sharded',
    fix: 'Take away @Sharded or @ReferenceTable, or give the entity a primary key.',
    refused: () => [shardedSchema(reference('Paper'), { by: two, shardKey: ['id'] })],
    ways: {
      'without @Sharded': () => [reference('Paper')],
      'without @ReferenceTable': () => [sharded('Paper')],
    },
  },
]

const actionFix =
  "For ON DELETE of a row of shards set onDelete: 'application' in the options of the data source. Else leave onDelete and onUpdate out, and delete or change the rows that refer to a row in the same transaction. Or colocate the two entities and join them by the shard key."

const relations: readonly Refusal[] = [
  {
    code: 'RELATION_LEAVES_SHARD',
    what: 'the junction of a reference table with rows of shards',
    fix: 'Have @JoinTable() on the other side of the relation, or make the other entity a @ReferenceTable too.',
    refused: () => [owner(), reference('Paper', { relations: { owners: many('Owner') } })],
    ways: {
      'the other side': () => [reference('Paper'), sharded('Owner', { relations: { papers: many('Paper') } })],
      'two reference tables': () => [reference('Owner'), reference('Paper', { relations: { owners: many('Owner') } })],
    },
  },
  {
    code: 'RELATION_LEAVES_SHARD',
    what: 'a tree whose rows each have a shard key of their own',
    fix: 'Take a column for the shard key that all rows of one tree have in common. Or leave @Tree() out and declare the two relations with @ManyToOne() and @OneToMany(): these may lead to other shards.',
    refused: () => [
      sharded('Paper', { tree: 'materialized-path', relations: { up: to('Paper', { treeParent: true }) } }),
    ],
    ways: {
      'a key in common': () => [
        sharded('Paper', {
          columns: ownerKey,
          key: ['ownerId'],
          tree: 'adjacency-list',
          relations: { up: to('Paper', { treeParent: true }) },
        }),
      ],
      'no tree': () => [sharded('Paper', { relations: { up: to('Paper') } })],
    },
  },
  {
    code: 'RELATION_ACTION_UNSUPPORTED',
    what: 'many-to-many with another group',
    fix: "Set onDelete: 'application' in the options of the data source, where the other entity is sharded: links then go with the rows of both sides. Or declare the relation with createForeignKeyConstraints: false: links stay where the row of the other side is deleted.",
    refused: () => [owner(), sharded('Paper', { relations: { owners: many('Owner') } })],
    ways: {
      'without foreign keys': () => [
        owner(),
        sharded('Paper', { relations: { owners: many('Owner', { createForeignKeyConstraints: false }) } }),
      ],
    },
    byApplication: () => [owner(), sharded('Paper', { relations: { owners: many('Owner') } })],
  },
  {
    code: 'RELATION_ACTION_UNSUPPORTED',
    what: 'an action over shards',
    fix: actionFix,
    refused: () => [owner(), sharded('Paper', { relations: { owner: to('Owner', { onDelete: 'CASCADE' }) } })],
    ways: {
      'no action': () => [owner(), sharded('Paper', { relations: { owner: to('Owner') } })],
      colocated: () => [
        owner(),
        sharded('Paper', {
          columns: ownerKey,
          ...colocated,
          relations: { owner: to('Owner', { ...joinedBy('ownerId'), onDelete: 'CASCADE' }) },
        }),
      ],
    },
  },
]

const view = 'SELECT count(*)::int AS n FROM "paper"'

const views: readonly Refusal[] = [
  {
    code: 'VIEW_OVER_SHARDS',
    what: 'a view that keeps sharded rows',
    fix: 'Leave out materialized: the query of the view then stands for its name. Or keep the rows in an entity, by INSERT … SELECT.',
    refused: () => [sharded('Paper'), viewOf('Papers', view, true)],
    ways: { 'not materialized': () => [sharded('Paper'), viewOf('Papers', view)] },
  },
]

export const refusals: readonly Refusal[] = [...keys, ...groups, ...constraints, ...relations, ...views]
