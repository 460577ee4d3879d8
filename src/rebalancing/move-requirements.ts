/** Something that a move needs and does not find. */
export interface MissingRequirement {
  /** The name of the node. */
  readonly node: string
  readonly what: string
  /** The GRANT, the setting or the statement that brings it. */
  readonly fix: string
}

/** What a node says of itself that others are to follow. */
export interface PublisherReport {
  readonly name: string
  readonly role: string
  readonly walLevel: string
  readonly freeSlots: number
  readonly freeSenders: number
  readonly isReplicator: boolean
  /** The role by which the other node connects; undefined: its URL does not say. */
  readonly replicator: { readonly name: string; readonly mayReplicate: boolean } | undefined
}

/** What a node says of itself that follows another one. */
export interface SubscriberReport {
  readonly name: string
  readonly role: string
  readonly maySubscribe: boolean
  readonly freeWorkers: number
  readonly freeOrigins: number
  /** The node that it follows, and why it did not reach that. */
  readonly publisher: string
  readonly unreachable: string | undefined
}

/** What the source says of itself and of the shard. */
export interface SourceReport extends PublisherReport {
  readonly version: number
  readonly database: string
  readonly mayCreate: boolean
  /** Tables that the role by which the target connects may not read. */
  readonly unreadable: readonly string[]
  readonly locale: string
  readonly collations: readonly string[]
  readonly extensions: readonly string[]
  /** Owners of its objects, roles with grants, and those that policies are for. */
  readonly roles: readonly string[]
  readonly owners: readonly string[]
  readonly outside: readonly OutsideObject[]
  /** Tables that were named and are not there. */
  readonly absent: readonly string[]
  readonly notOwned: readonly string[]
  readonly withoutKey: readonly string[]
  readonly withoutIdentity: readonly string[]
  readonly withForcedPolicies: readonly string[]
  readonly unsupported: readonly string[]
}

/** Something that lies beside the shard, and that the shard refers to. */
export interface OutsideObject {
  readonly kind: 'function' | 'table' | 'type'
  readonly name: string
}

/** What the target says of itself, and of what the source's shard needs. */
export interface TargetReport extends SubscriberReport {
  readonly version: number
  readonly database: string
  readonly mayCreate: boolean
  readonly locale: string
  readonly collations: readonly string[]
  readonly extensions: readonly string[]
  /** Roles of the source that are there, and those of them that the own role may act as. */
  readonly roles: readonly string[]
  readonly actsAs: readonly string[]
  readonly lackedOutside: readonly OutsideObject[]
  /** What is in the shard's place already. */
  readonly inTheWay: readonly string[]
}

/** What both servers say of the way back: the target is followed there. */
export interface WayBackReport {
  readonly publisher: PublisherReport
  readonly subscriber: SubscriberReport
}

/** Slots of a publisher, and workers of a subscriber. */
interface Width {
  readonly slots: number
  readonly workers: number
}

/** One slot and one worker for the subscription, and one for each of the two tables that are copied at once. */
const copying: Width = { slots: 3, workers: 3 }

/** Nothing is copied on the way back. */
const following: Width = { slots: 1, workers: 1 }

const lacking = (wanted: readonly string[], has: readonly string[]): readonly string[] =>
  wanted.filter((one) => !has.includes(one))

/** What a move needs and does not find, as its source and its target report. */
export function missingRequirements(
  source: SourceReport,
  target: TargetReport,
  back?: WayBackReport,
): readonly MissingRequirement[] {
  return Object.freeze([
    ...missingAtSource(source),
    ...missingAtTarget(source, target),
    ...unlike(source, target),
    ...(back
      ? [...missingToPublish(back.publisher, following), ...missingToSubscribe(back.subscriber, following)]
      : []),
  ])
}

/** The same where rows are copied by a driver: servers need not reach each other, and nothing is replicated. */
export const missingForCopy = (source: SourceReport, target: TargetReport): readonly MissingRequirement[] =>
  Object.freeze([...missingObjects(source), ...missingOfObjects(source, target), ...unlike(source, target)])

type Rule = readonly [isMissing: boolean, what: string, fix: string]

const told = (node: string, rules: readonly Rule[]): readonly MissingRequirement[] =>
  rules.flatMap(([isMissing, what, fix]) => (isMissing ? [Object.freeze({ node, what, fix })] : []))

function missingToPublish(report: PublisherReport, { slots }: Width): readonly MissingRequirement[] {
  const { name, role, replicator } = report
  return told(name, [
    [
      report.walLevel !== 'logical',
      `wal_level is ${report.walLevel}`,
      `ALTER SYSTEM SET wal_level = 'logical', and restart the server`,
    ],
    [
      report.freeSlots < slots,
      `${report.freeSlots} replication slots are free, and ${slots} are needed`,
      'raise max_replication_slots, and restart the server',
    ],
    [
      report.freeSenders < slots,
      `${report.freeSenders} WAL senders are free, and ${slots} are needed`,
      'raise max_wal_senders, and restart the server',
    ],
    [!report.isReplicator, `role ${role} may not make replication slots`, `ALTER ROLE ${role} REPLICATION`],
    [
      replicator?.mayReplicate === false,
      `role ${replicator?.name}, by which another node connects, may not replicate`,
      `ALTER ROLE ${replicator?.name} REPLICATION`,
    ],
  ])
}

function missingToSubscribe(report: SubscriberReport, { workers }: Width): readonly MissingRequirement[] {
  const { name, role } = report
  return told(name, [
    [!report.maySubscribe, `role ${role} may not make a subscription`, `GRANT pg_create_subscription TO ${role}`],
    [
      report.freeWorkers < workers,
      `${report.freeWorkers} workers of logical replication are free, and ${workers} are needed`,
      'raise max_logical_replication_workers and max_worker_processes, and restart the server',
    ],
    [
      report.freeOrigins < workers,
      `${report.freeOrigins} replication origins are free, and ${workers} are needed`,
      'raise max_active_replication_origins (before PostgreSQL 18: max_replication_slots), and restart the server',
    ],
    [
      report.unreachable !== undefined,
      `it does not reach ${report.publisher}: ${report.unreachable}`,
      'let replicationUrl lead from this server to that node, and let pg_hba.conf of that node admit it',
    ],
  ])
}

function missingAtSource(source: SourceReport): readonly MissingRequirement[] {
  const { name, replicator } = source
  return [
    ...missingToPublish(source, copying),
    ...missingObjects(source),
    ...each(name, source.withoutIdentity, (table) => [
      `table ${table} has no replica identity`,
      `ALTER TABLE ${table} REPLICA IDENTITY FULL`,
    ]),
    ...each(name, source.unreadable, (table) => [
      `role ${replicator?.name} may not read ${table}`,
      `GRANT SELECT ON ${table} TO ${replicator?.name}`,
    ]),
  ]
}

function missingObjects(source: SourceReport): readonly MissingRequirement[] {
  const { name, role, database } = source
  return [
    ...told(name, [
      [
        !source.mayCreate,
        `role ${role} may not make a publication and a schema`,
        `GRANT CREATE ON DATABASE ${database} TO ${role}`,
      ],
    ]),
    ...each(name, source.absent, (table) => [`table ${table} is not there`, 'name the tables that the shard has']),
    ...each(name, source.notOwned, (table) => [
      `role ${role} does not own ${table}`,
      `ALTER TABLE ${table} OWNER TO ${role}, or be a member of its owner`,
    ]),
    ...each(name, source.withoutKey, (table) => [
      `table ${table} has no primary key`,
      `ALTER TABLE ${table} ADD PRIMARY KEY (…)`,
    ]),
    ...each(name, source.withForcedPolicies, (table) => [
      `policies hide rows of ${table} from role ${role}`,
      `ALTER ROLE ${role} BYPASSRLS`,
    ]),
    ...each(name, source.unsupported, (object) => [
      `${object} does not move`,
      'drop it, or leave the shard where it is',
    ]),
  ]
}

const missingAtTarget = (source: SourceReport, target: TargetReport): readonly MissingRequirement[] => [
  ...missingToSubscribe(target, copying),
  ...missingOfObjects(source, target),
]

function missingOfObjects(source: SourceReport, target: TargetReport): readonly MissingRequirement[] {
  const { name, role, database } = target
  const roles = lacking(source.roles, target.roles)
  const strangers = lacking(lacking(source.owners, roles), target.actsAs)
  return [
    ...told(name, [
      [
        !target.mayCreate,
        `role ${role} may not make schemas and a subscription`,
        `GRANT CREATE ON DATABASE ${database} TO ${role}`,
      ],
    ]),
    ...each(name, lacking(source.extensions, target.extensions), (one) => [
      `extension ${one} is not there`,
      `CREATE EXTENSION ${one}`,
    ]),
    ...each(name, roles, (one) => [`role ${one} is not there`, `CREATE ROLE ${one}`]),
    ...each(name, strangers, (one) => [`role ${role} may not give objects to role ${one}`, `GRANT ${one} TO ${role}`]),
    ...each(name, target.lackedOutside, ({ kind, name: object }) => [
      `${kind} ${object}, which the shard refers to, is not there`,
      `make the ${kind}`,
    ]),
    ...each(name, target.inTheWay, (object) => [
      `${object} is there already`,
      'finish the move that left it behind, or drop it',
    ]),
  ]
}

function unlike(source: SourceReport, target: TargetReport): readonly MissingRequirement[] {
  return [
    ...told(target.name, [
      [
        target.version < source.version,
        `PostgreSQL ${target.version} is older than ${source.version}`,
        'upgrade the server',
      ],
      [
        source.locale !== target.locale,
        `encoding and collation are ${target.locale}, and ${source.locale} at ${source.name}`,
        'make the database anew with the same encoding and locale, on the same operating system',
      ],
    ]),
    ...each(target.name, lacking(source.collations, target.collations), (one) => [
      `collation ${one} is not there in this version`,
      'CREATE COLLATION, with the same version of its library',
    ]),
  ]
}

const each = <T>(
  node: string,
  list: readonly T[],
  say: (one: T) => readonly [what: string, fix: string],
): readonly MissingRequirement[] =>
  list.map((one) => {
    const [what, fix] = say(one)
    return Object.freeze({ node, what, fix })
  })
