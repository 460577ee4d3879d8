import type { ErrorLabel } from './error-label'

interface CatalogueEntry {
  /** The rule that was broken. */
  readonly why: string
  /** The way out, as one or two sentences that end a message. */
  readonly fix: string
  readonly labels: readonly ErrorLabel[]
}

const entry = (why: string, fix: string, ...labels: ErrorLabel[]): CatalogueEntry =>
  Object.freeze({ why, fix, labels: Object.freeze(labels) })

/**
 * Every code that this package throws, with the rule that was broken and the way out. A test asks that each has its section in `docs/reference/errors.md`.
 *
 * @example
 * errorCatalogue.KEY_MISSING.fix // what to do about it
 */
export const errorCatalogue = Object.freeze({
  // topology
  TOPOLOGY_MISMATCH: entry(
    'The databases know where their rows are; a process whose options say otherwise would not find them, and write beside them.',
    "Start with the options that the message says are stored. Where its tables hold no rows, onTopologyChange: 'replace' stores the options in their place.",
    'no-writes',
  ),
  CATALOG_UNAVAILABLE: entry(
    'Every node stores where the rows of the data source are, and each start compares that with the options.',
    'Start once as a role that may create the schema sharding, and grant the other roles SELECT, INSERT and UPDATE on sharding.groups and sharding.databases, SELECT and INSERT on sharding.epochs and SELECT on sharding.nodes.',
    'no-writes',
  ),
  LEASE_LOST: entry(
    'A process that serves sharded entities holds a lease with the epoch that it obeys. No node takes it: none answers, or all refuse writes.',
    'Look at the nodes: operations go on when one of them takes the lease. selfFencing: false lets a process that only reads go on.',
    'retryable',
    'no-writes',
  ),
  SHARD_MOVED: entry(
    'A shard moves while it is written to. What a transaction did before on its former node cannot be done again by itself.',
    'Run the transaction again: the data source knows the new place by now.',
    'retryable',
    'no-writes',
  ),
  // options and functions
  OPTIONS_INVALID: entry(
    'The options of the data source or of a sharding function contradict themselves.',
    'Correct the option that is named.',
  ),
  DECLARATIONS_INVALID: entry(
    'A start reports everything that is wrong with the declarations, so that all of it can be corrected at once.',
    'Correct each of them; details.refusals holds the errors.',
  ),
  PARSER_UNAVAILABLE: entry(
    'SQL is read by PostgreSQL’s own parser, the file libpg-query.wasm of the package libpg-query.',
    'Leave libpg-query out of the bundle (external), or copy node_modules/libpg-query/wasm/libpg-query.wasm beside the bundle.',
  ),
  FUNCTION_INVALID: entry(
    'A sharding function must name its shards without gaps in meaning or overlaps.',
    'Correct the declaration of the sharding function.',
  ),
  KEY_TYPE_UNSUPPORTED: entry(
    'A sharding function can only place keys whose type it can compare.',
    'Use a column type that the function takes, or another function.',
  ),
  KEY_COLUMN_INVALID: entry(
    'A row is placed by the shard key of its object, so the column has to store exactly that value.',
    'Mark a column that the application sets and nothing else writes; declare one beside this column for it.',
  ),
  // moves of shards
  SHARD_MOVE_REFUSED: entry(
    'A shard moves by logical replication, which both servers must be set up for, and arrives with all that it has.',
    'Bring what the message lists; details.missing has each with its node and the statement or setting that brings it.',
    'no-writes',
  ),
  SHARD_MOVE_STATE: entry(
    'A move can be cancelled until its switch, and finished or reverted after it.',
    'Look at the state of the move.',
    'no-writes',
  ),
  SHARD_MOVE_TAKEN: entry(
    'One process at a time drives a move; another one takes it over when the first was not heard of for a while.',
    'Let the other process drive it, or try again later.',
    'retryable',
  ),
  SHARD_MOVE_STALLED: entry(
    'Waits of a move are bounded; what was done stays done, and rows are still replicated.',
    'Remove what the message names (a long transaction, a full disk, an error in the log of the target), and drive the move again, or cancel it.',
    'retryable',
  ),
  SHARD_MOVE_DIFFERS: entry(
    'A shard is switched only when its new place has the same rows and the same structure as the old one.',
    'Cancel the move and begin a new one: the structure was changed while it moved, the target was written to, or its slot was lost.',
  ),
  PLAN_OUTDATED: entry(
    'A plan says where its shards are and where they go. Of shards that are elsewhere by now it may make the nodes less even.',
    'Make a new plan with topology.plan().',
    'no-writes',
  ),
  PLAN_INCOMPLETE: entry(
    'A plan ends with the first move that fails: what was moved before stays moved.',
    'Do what the cause says, and execute the same plan again: shards that are in their place are skipped.',
    'retryable',
  ),
  NODE_IN_USE: entry(
    'A node is emptied or removed only as a whole: rows on a node that no process connects to are lost to all of them.',
    'Do away with what details.left names, and call it again. Shards that can move leave by topology.execute(await topology.plan({ drain })).',
    'no-writes',
  ),
  // keys
  KEY_INVALID: entry('A shard key value must be a value of its column’s type.', 'Pass a value of the column’s type.'),
  KEY_MISSING: entry(
    'A row without a shard key has no shard, and there is no default shard.',
    'Set the shard key before writing.',
  ),
  KEY_NOT_OWNED: entry(
    'Every key belongs to exactly one declared shard; none owns this one.',
    'Declare a shard that owns the key, or correct the key.',
  ),
  KEY_CHANGED: entry(
    'A row is stored on the shard of its key, so another key may need another shard.',
    "Move the row with repository.move(entity, newKey), or let its entity be moved by writes: @Sharded(…, { onKeyChange: 'move' }).",
  ),
  MOVE_LEAVES_CHILDREN: entry(
    'Rows that refer to a row by a foreign key lie on its shard and cannot stay there without it.',
    'Move them along with repository.move(entity, newKey, { children: true }), or move or delete them first.',
    'no-writes',
  ),
  MOVE_TOO_LARGE: entry(
    'The rows of one move are held in memory and go in one statement a table, so their number has a bound.',
    'Move the children in parts before the parent, or narrow the condition.',
    'no-writes',
  ),
  MOVE_NOT_EXACT: entry(
    'A row that moves must arrive as it was, and leave nothing behind.',
    'Bring the table, its triggers and the settings that write values as texts in line on both shards.',
    'no-writes',
  ),
  ROW_MOVED: entry(
    'The row moved to another shard after the entity was loaded.',
    'Load the entity again and repeat the change.',
    'retryable',
  ),
  KEY_CONFLICT: entry(
    'A row’s relatives in one colocation group share its shard key.',
    'Give both the same shard key. To link rows of different shard keys by a many-to-many relation, declare it with createForeignKeyConstraints: false.',
  ),
  // sessions
  SESSION_NEEDS_RUNNER: entry(
    'A change of the session would stay in a pooled connection, and reach the next operation that uses it.',
    'Send it on a query runner (dataSource.createQueryRunner()), or inside dataSource.transaction(…).',
    'no-writes',
  ),
  SESSION_NOT_HELD: entry(
    'A statement over shards runs in sessions of several nodes, which must be alike.',
    'Set it with SET LOCAL or set_config(…, true) in the transaction that needs it, to a value that every node takes.',
  ),
  PLAN_STALE: entry(
    'A prepared statement, or a plan over shards, is of the tables and types that it was made for, and of its session; they have changed, or differ between shards.',
    'Repeat the transaction, or the call: statements are planned anew from now on. While shards are altered one after the other, wait until all are.',
    'retryable',
    'no-writes',
  ),
  SESSION_SETTINGS_DIFFER: entry(
    'The sessions of all nodes must write and read values alike, and this one cannot be told to.',
    'Set it on that node (ALTER ROLE … SET …, or ALTER DATABASE … SET …), or connect to it past the pooler or in session mode.',
  ),
  SESSION_STATEMENT_UNSUPPORTED: entry(
    'A statement about one server’s session or transaction cannot hold on several.',
    'Use what the message names, or send it to one shard’s own data source (dataSource.shard(name)).',
    'no-writes',
  ),
  // metadata
  ENTITY_WITHOUT_SHARD_KEY: entry(
    'A sharded entity needs to say which column places its rows.',
    'Mark the column with @ShardKey().',
  ),
  GROUP_CONFLICT: entry(
    'A colocation group has one sharding function.',
    'Use @Sharded({ colocatedWith }) on all but one entity of the group, or give the groups different names.',
  ),
  COLOCATION_INVALID: entry(
    'Colocated entities share the values, number and types of their shard keys.',
    'Make the shard keys alike.',
  ),
  UNIQUE_WITHOUT_SHARD_KEY: entry(
    'A unique constraint holds inside one shard only, unless it contains the shard key.',
    'Add the shard key to the constraint, use @GlobalUnique, or say perShardUnique: true in @Sharded when uniqueness inside each shard is meant.',
  ),
  SEQUENCE_ON_SHARDED_ENTITY: entry(
    'Each shard has its own sequence: generated numbers would collide.',
    "Use @PrimaryColumn('int') @ShardedId('sequence') for an integer of any size, @PrimaryColumn('bigint') @ShardedId() for an id that tells its shard, or @PrimaryGeneratedColumn('uuid'), or assign the id yourself.",
  ),
  REFERENCE_INVALID: entry(
    'A reference table is one whole table, of which every node has a copy whose rows are told apart by their primary key.',
    'Take away @Sharded or @ReferenceTable, or give the entity a primary key.',
  ),
  REFERENCE_NOT_INSTALLED: entry(
    'Triggers of the home node note the changes of a reference table, and its copies keep versions: without them a write would reach one node.',
    'Call dataSource.synchronize(), or dataSource.buildReferenceTables() where the tables are made by other means.',
  ),
  REFERENCE_OUTDATED: entry(
    'A change of a reference table is made to copies that equal the home node’s table, and to no others.',
    'Make the tables of the nodes alike, then call dataSource.verifyReferenceTables({ repair: true }).',
  ),
  REFERENCE_WRITE_TOO_LARGE: entry(
    'The rows that a statement changes in reference tables are held in memory on their way to the other nodes, so their number has a bound.',
    'Write the rows by several statements.',
  ),
  RELATION_LEAVES_SHARD: entry(
    'A junction table lies with the rows of the side that has @JoinTable(), and those of a reference table are on every node.',
    'Have @JoinTable() on the other side of the relation, or make the other entity a @ReferenceTable too.',
  ),
  RELATION_ACTION_UNSUPPORTED: entry(
    'The database does ON DELETE and ON UPDATE by a foreign key, and none is made for a relation between shards.',
    "For ON DELETE of a row of shards set onDelete: 'application' in the options of the data source. Else leave onDelete and onUpdate out, and delete or change the rows that refer to a row in the same transaction. Or colocate the two entities and join them by the shard key.",
  ),
  OBJECT_NOT_OURS: entry(
    'synchronize() and dropDatabase() change and drop only what they made for shards, which carries a mark in its comment.',
    'Rename what is yours, or give the group another name. If it is a shard’s (made by an earlier version, or restored without comments), set adoptShards: true for one synchronize(), or write the mark into the comment.',
  ),
  SCHEMA_INCOMPLETE: entry(
    'The schema of each shard is changed in a transaction of its own: shards that were changed before another one failed stay changed.',
    'Mend what the cause says on that shard, and repeat the call: it leaves alone what is done.',
  ),
  NAME_INVALID: entry(
    'PostgreSQL cuts names at 63 bytes, keeps some for itself, and two tables cannot share one.',
    'Shorten or change the name.',
  ),
  NOT_SHARDED: entry('The operation needs shards, and the entity has none.', 'Use the plain TypeORM call.'),
  // ids
  ID_COLUMN_INVALID: entry(
    'A sharded id is one column of the primary key, of a type that holds it.',
    'Correct the column, or the kind of id that @ShardedId() names.',
  ),
  ID_INVALID: entry('Only ids that @ShardedId() made can be decoded.', 'Give a number or a UUID that it made.'),
  ID_MISSING: entry(
    'An id carries the slot of its row’s shard key, and the row does not say its shard key.',
    'Set the shard key, or write the row through the repository of the sharded data source.',
    'no-writes',
  ),
  ID_OF_ANOTHER_SLOT: entry(
    'An id carries the slot of its row’s shard key. A row with another slot in its id would not be found.',
    'Leave the id out, so that one is made for the key, or correct the shard key.',
    'no-writes',
  ),
  ID_CHANGED: entry(
    'A row is found by the slot in its id: it keeps the id, unless the new one certainly has the same slot.',
    'Insert a row without an id and remove the old one, or name the id or the shard key in the condition.',
    'no-writes',
  ),
  ID_WORKERS_TAKEN: entry(
    'Every data source that makes ids holds a worker number. There are 1,024 numbers for 64-bit ids and 64 for 53-bit ids.',
    'Destroy data sources that are not in use, or wait a minute for numbers of processes that died; or use uuids.',
    'retryable',
    'no-writes',
  ),
  ID_TOO_FAR_AHEAD: entry(
    'The time in an id is at most a day ahead of the home node’s clock.',
    'Check the clock of this machine and of the home node; spread the rows over more shard keys.',
    'no-writes',
  ),
  ID_SEQUENCE_EXHAUSTED: entry(
    'The numbers of a column’s type have an end.',
    'Give the column the type bigint.',
    'no-writes',
  ),
  // lookups
  LOOKUP_INVALID: entry(
    'A lookup finds rows of a sharded entity by values of columns that have one text each.',
    'Correct the declaration that is named.',
  ),
  LOOKUP_NOT_INSTALLED: entry(
    'Lookups are kept by triggers that note each change; without them a change would be lost.',
    'Call synchronize() or buildLookups() before writing.',
    'no-writes',
  ),
  LOOKUP_DUPLICATES: entry(
    'Rows that were there before a value was declared unique have the same value.',
    'Read details.duplicates, change or remove the rows, and call buildLookups() again.',
  ),
  LOOKUP_ORDER_UNKNOWN: entry(
    'One database checks a unique value with each row. Whether another row has given it up by then depends on the order of the rows.',
    'Give up the value in one call and take it in another, or set the primary keys of the rows.',
    'no-writes',
  ),
  // routing
  SHARD_UNKNOWN: entry('A shard is asked for by its name.', 'Use one of the names of dataSource.shards().'),
  SCATTER_FORBIDDEN: entry(
    'The scatter policy of the entity asks for a shard key.',
    'Add the shard key to the condition, or call acrossShards() for this operation.',
  ),
  SCATTER_TOO_WIDE: entry(
    'The operation would reach more shards than scatter.maxShards allows.',
    'Add the shard key to the condition, or raise scatter.maxShards.',
  ),
  // what cannot be exact
  CROSS_SHARD_RELATION: entry(
    'A statement on a shard sees the rows of that shard only.',
    'Find the related rows first, and ask for their keys with In(…). Save the related entity by itself.',
  ),
  SCATTER_UNSUPPORTED: entry(
    'The clause has no exact answer over several shards yet.',
    'Add the shard key to the condition, or ask one shard with onShard(name).',
  ),
  ORDER_UNSUPPORTED: entry(
    'The order cannot be merged exactly over several shards, or gives the rows of a page no certain places.',
    'Order by columns of the entity or of its to-one relations.',
  ),
  PAGE_TOO_DEEP: entry(
    'Where the start of a page cannot be counted to, the rows before it are fetched into the application and dropped. The row budget bounds them.',
    'Order by plain columns of the entity alone, add a condition that goes on after the last row, or raise rowBudget in withLimits or scatter.',
    'no-writes',
  ),
  MERGE_ORDER: entry(
    'A source was not sorted as its order says; merging it would give a wrong order.',
    'Check that all nodes have the same collations and column types; where the message names types of values, check the parsers given to pg.',
  ),
  COLLATION_DIFFERS: entry(
    'Nodes that sort text differently cannot be merged in order.',
    'Give the databases of all nodes the same collation, or the column a COLLATE that all have.',
  ),
  PAGE_INVALID: entry(
    'A page has a bounded size and starts at one cursor at the most; a cursor stands in place of skip.',
    'Correct the option that is named.',
  ),
  CURSOR_INVALID: entry(
    'A cursor is a place in one order of one entity, signed with a secret of this data source.',
    'Start again from the first page, or give a cursor of a page with the same order.',
  ),
  CURSOR_SECRET_MISSING: entry(
    'Cursors are signed with a secret that all processes of an application share. The package makes up none.',
    'Give the data source the option cursors: { secret }.',
  ),
  JOIN_NOT_LOCAL: entry(
    'Tables of several shards meet on one shard only where they are joined on the shard key, or along a foreign key inside their group.',
    'Name the columns of the table in a query in FROM, join on the shard key too, or name one shard key in the condition.',
  ),
  STATEMENT_UNSUPPORTED: entry(
    'A statement over several shards is taken apart and put together again: only what stays exact is done.',
    'Name the shard key in the condition, use onShard(…), or write the statement in parts.',
  ),
  UPSERT_WITHOUT_SHARD_KEY: entry(
    'A conflict is only seen inside one shard.',
    'Name the shard key among the conflict paths, or the primary key alone.',
  ),
  MIGRATIONS_UNSUPPORTED: entry(
    'Migrations are not run over shards yet.',
    'Use synchronize(), or run migrations against each node.',
  ),
  VIEW_OVER_SHARDS: entry(
    'A materialized view keeps rows of one database, and rows of sharded entities are on several.',
    'Leave out materialized: the query of the view then stands for its name. Or keep the rows in an entity, by INSERT … SELECT.',
  ),
  // running
  SHARD_UNAVAILABLE: entry(
    'A shard that was asked did not answer; its rows are unknown, not absent.',
    'Look at the cause; retry when the node is back.',
    'retryable',
    'no-writes',
  ),
  DEADLINE_EXCEEDED: entry(
    'An operation must end by its deadline. Statements that still ran then were cancelled on the servers and had no effect.',
    'Ask for less, or raise deadlineMs: in withLimits for one operation, in scatter for all.',
    'retryable',
    'no-writes',
  ),
  ROW_BUDGET_EXCEEDED: entry(
    'An answer is held in memory, so the rows of all shards together have a bound.',
    'Take a page, read with a stream, or raise rowBudget: in withLimits for one operation, in scatter for all.',
    'no-writes',
  ),
  GATHER_TOO_LARGE: entry(
    'A query that is not local is answered from copies of its rows, which are held in memory on their way.',
    'Narrow the conditions of its tables, or raise gather.rows or gather.bytes in the options of the data source. For questions over whole tables make a coordinator, which asks the shards by postgres_fdw: dataSource.federation.sql().',
    'no-writes',
  ),
  LIMITS_UNSUPPORTED: entry(
    'Limits bound one operation of a repository or manager; what they cannot reach is refused.',
    'Give the limits to the operations themselves.',
    'no-writes',
  ),
  AUTHENTICATION_FAILED: entry(
    'The server refused the login; to try again does not help.',
    'Correct the username, the password or pg_hba.conf of the node that is named.',
    'no-writes',
  ),
  DATABASE_MISSING: entry(
    'The server has no database of this name.',
    'Create the database, or correct it in the options of the node that is named.',
    'no-writes',
  ),
  PERMISSION_MISSING: entry(
    'The role of the node lacks a privilege that it needs.',
    'GRANT the privilege that the cause names to the role of the node that is named.',
    'no-writes',
  ),
  SERVER_FULL: entry(
    'The server has no connection left: max_connections, or the limit of the role or the database.',
    'Make poolSize times the number of processes smaller than that limit, or raise the limit.',
    'retryable',
    'no-writes',
  ),
  POOL_EXHAUSTED: entry(
    'A node’s connections are bounded by poolSize, and the wait for one by connectTimeoutMS.',
    'Do less at once, look for query runners and streams that are not released, or raise poolSize.',
    'retryable',
    'no-writes',
  ),
  STATEMENT_TIMEOUT: entry(
    'A statement may run for timeouts.queryMs, and one that is not an operation’s own, as a question of a catalog, for timeouts.backgroundMs. It was then cancelled on its server.',
    'Ask for less, or raise the option. Behind a pooler in transaction mode, set directUrl of the node.',
    'retryable',
    'no-writes',
  ),
  TRANSACTION_IDLE: entry(
    'A transaction in which nothing is sent holds locks and a connection, so it is rolled back after timeouts.transactionIdleMs.',
    'Do slow work outside of the transaction, end every transaction, or raise timeouts.transactionIdleMs.',
    'retryable',
    'no-writes',
  ),
  STREAM_IDLE: entry(
    'An open stream holds a connection and a snapshot, so it is closed when nobody reads it for timeouts.streamIdleMs.',
    'Read faster, close streams that are no longer read, or raise timeouts.streamIdleMs.',
    'retryable',
    'no-writes',
  ),
  PREPARED_TRANSACTIONS_FULL: entry(
    'A server keeps at most max_prepared_transactions transactions prepared at once; nothing was committed.',
    'Set max_prepared_transactions of the node to at least its connections, or look for transactions that were left prepared.',
    'retryable',
    'no-writes',
  ),
  PREPARE_REFUSED: entry(
    'PostgreSQL prepares no transaction that has notified (pg_notify), used a temporary table or exported a snapshot, as a trigger may, and writes no decision in one that was set READ ONLY after its writes; nothing was committed.',
    'Notify, use temporary tables, and set READ ONLY, in a transaction of one node or from the application after the commit; or choose transactions: "best-effort".',
    'no-writes',
  ),
  DECISION_LOG_MISSING: entry(
    'Commits in two phases are decided in the table sharding.decisions, which was dropped; nothing was committed.',
    'Start the data source again, which creates the table, and drop it only when no process uses it.',
    'no-writes',
  ),
  TOO_MANY_PARAMETERS: entry(
    'PostgreSQL takes 65,535 parameters in one statement.',
    'Pass a list as one array: Any(list) in find options, = ANY (:list) in SQL; or write and read in parts.',
    'no-writes',
  ),
  QUEUE_FULL: entry(
    'The number of operations that wait for a connection, or for their turn on a node, is bounded.',
    'Ask for less at once: await in smaller batches.',
    'no-writes',
  ),
  CONNECTION_LOST: entry(
    'The connection broke while a statement ran; whether it took effect is not known.',
    'Read the row before writing again.',
    'outcome-unknown',
  ),
  PARTIAL_COMMIT: entry(
    'Some shards committed and others did not, so the write is incomplete.',
    'Read details.committed, details.failed and details.unknown, and repair or repeat on the shards that failed.',
  ),
  TRANSACTION_ABORTED: entry(
    'A transaction in which a statement failed cannot be committed.',
    'Let the error of the failed statement end the transaction, or use a nested one around it.',
    'no-writes',
  ),
  COMMIT_OUTCOME_UNKNOWN: entry(
    'The connection broke before the server acknowledged COMMIT.',
    'Read the rows to learn whether the commit took effect.',
    'outcome-unknown',
  ),
  LOCK_TIMEOUT: entry(
    'Transactions over several nodes that wait for each other are seen by no server, so waiting for a lock has a bound.',
    'Let the transaction roll back and repeat it; lock rows in one order everywhere, or raise lockTimeoutMs.',
    'retryable',
    'no-writes',
  ),
  SYNCHRONIZE_BUSY: entry(
    'Tables are made, altered and dropped by one process at a time: PostgreSQL fails where two of them meet.',
    'Wait until the other process has ended its synchronize() or dropDatabase(), and repeat the call.',
    'retryable',
    'no-writes',
  ),
  TWO_PHASE_UNAVAILABLE: entry(
    'A commit in two phases prepares a transaction on every node, and each has to allow it.',
    'Set max_prepared_transactions on every node to at least its connections, and let the role create tables, or write those that are there; or choose transactions: "best-effort".',
  ),
  SINGLE_SHARD_TRANSACTION: entry(
    'With transactions: "single-shard", a transaction touches one shard only.',
    'Split the work by shard, or choose transactions: "two-phase".',
    'no-writes',
  ),
  CURRENT_MANAGER_INVALID: entry(
    'Operations of a request run in its transaction, and never outside of a transaction that has ended.',
    'Let currentManager give the manager of the open transaction of this data source, and undefined after its end.',
    'no-writes',
  ),
  WRONG_SHARD: entry(
    'A row may only be written to the shard that owns its key.',
    'Write it through the repository, which finds the shard.',
  ),
  LOAD_ROW_INVALID: entry(
    'A row that is loaded is an object of values, which COPY stores as they are.',
    'Give the column a value, or write the row with insert.',
  ),
  LOAD_INCOMPLETE: entry(
    'A load ended before all of its rows were stored.',
    'Read details.report for what each shard holds, and details.row for the row that is named; load the same rows again with resume: true.',
  ),
  DUPLICATE_PRIMARY_KEY: entry(
    'A row with this primary key is on another shard: a write here would make a second row, or miss that one.',
    'Load the entity and write the loaded one, or use the shard key it was stored under.',
  ),
} satisfies Record<string, CatalogueEntry>)

/** A key of `errorCatalogue`: the `code` of a `ShardedError`. */
export type ErrorCode = keyof typeof errorCatalogue
