import type { Row } from '../merging/row'
import type { Arm } from '../query/arm-source'
import type { StatementWrite, UnitedWrite, WriteAnswer, WriteQuery } from '../query/write-query'
import type { Shard } from '../topology/shard'
import { type NodeWrite, type NodeWriteShape, nodeWrites } from './node-write'
import type { NodeStatement } from './scatter-statement'

/**
 * How a write is done. A plan is a frozen tree of data: `executeWrite` and `explainWrite` are two folds over it, so that an
 * explanation cannot say anything else than what runs.
 */
export type WritePlan = WriteParts | MovePlan | TransactionPlan | LookupsPlan | SequencePlan

/** A leaf: each shard's part of the write. */
export type WriteParts = NodeParts | ShardParts | OperationParts

/** One statement a node, in which each shard has a query of its own. Nodes at once. */
export interface NodeParts {
  readonly kind: 'write'
  readonly by: 'node'
  /** The statement of each shard, of which those of the nodes are made. */
  readonly arms: readonly Arm[]
  readonly united: UnitedWrite
  readonly statements: readonly NodeWrite[]
  readonly answer: WriteAnswer
}

/** Each shard's own statement. Nodes at once, the shards of a node in turn: they share its connection. */
export interface ShardParts {
  readonly kind: 'write'
  readonly by: 'shard'
  readonly arms: readonly Arm[]
  readonly answer: WriteAnswer
}

/** TypeORM's own operation on each shard, which makes its statements while it runs. */
export interface OperationParts {
  readonly kind: 'write'
  readonly by: 'typeorm'
  readonly shards: readonly Shard[]
  /** Subscribers hear of all shards together. Else nodes at once, the shards of a node in turn. */
  readonly inRounds: boolean
}

/**
 * An UPDATE that sets the shard key. The rows that it finds are locked first; those whose new key is of the same shard are updated
 * there, the others are taken from their shard and put, as the UPDATE would leave them, into the one that owns their new key.
 * Which columns a row has, its shard says, so that the statements are made while it runs.
 */
export interface MovePlan {
  readonly kind: 'move'
  readonly table: string
  /** Where rows are looked for. */
  readonly shards: readonly Shard[]
  /** Where rows may go. */
  readonly targets: readonly Shard[]
  readonly withChildren: boolean
}

/** Runs its source in one transaction over nodes, or inside the transaction of the caller. */
export interface TransactionPlan {
  readonly kind: 'transaction'
  /** `savepoint`: inside a transaction of the caller it is undone by itself when it fails. */
  readonly scope: 'transaction' | 'savepoint'
  /** Opened one after the other in this order everywhere, so that two writes never wait for each other's connections. */
  readonly nodes: readonly string[]
  readonly source: WritePlan
  /** Runs in a new transaction where a node refuses the statement of several shards before it runs. */
  readonly otherwise: WritePlan | undefined
  /**
   * Two writes that are sent to all nodes at once may hold locks on two nodes and wait for each other. A write whose statements are
   * known, in a transaction of its own, is `at-once-first`: where a lock is not had soon, it is rolled back and runs `in-turn`, one node
   * after the other. Who waits for long holds then nothing on a later node, at the first as well: one that runs in turn would wait there.
   */
  readonly pace: 'at-once' | 'at-once-first' | 'in-turn'
}

/** Brings the lookups of some shards in line with what its source has written. */
export interface LookupsPlan {
  readonly kind: 'lookups'
  readonly source: WritePlan
  readonly shards: readonly Shard[]
}

/** Asks something first: the answers decide what is done then. */
export interface SequencePlan {
  readonly kind: 'sequence'
  readonly first: readonly NodeStatement[]
  /** What `first` asks, and what its answers decide: in one line, for `explain`. */
  readonly step: string
  /** The rest, which depends on the answers and on nothing else. */
  readonly rest: DecidedBy<readonly (readonly Row[])[]>
}

/** A plan that is made when answers are there. */
export interface DecidedBy<Answers> {
  /** @throws ShardedError where the answers forbid the write */
  plan(answers: Answers): WritePlan
}

/** What the planner has to know besides the query. */
export interface WriteFacts extends Pick<NodeWriteShape, 'hasRules' | 'maxArms'> {
  /** Whether entities of a group have lookups, which each write of a shard has to keep. */
  readonly maintains: (group: string) => boolean
  /** The caller has a transaction: what fails in it cannot be repeated in another. */
  readonly isInTransaction: boolean
}

/**
 * Plans a write. On one shard it is one statement, or TypeORM's own operation as it is; on several, and where lookups are to be
 * kept, it runs in one transaction.
 */
export function planWrite(query: WriteQuery, facts: WriteFacts): WritePlan {
  const shards = shardsOf(query)
  const isMaintained = shards.some(({ group }) => facts.maintains(group))
  const parts = partsOf(query, facts)
  const nodes = nodesOf(shards)
  const [, another] = shards
  if (another === undefined && shards.length === 1 && !isMaintained) return parts
  const transaction = (own: WriteParts, otherwise: WritePlan | undefined): TransactionPlan =>
    Object.freeze({
      kind: 'transaction',
      // What is refused only after it was written has to be undone, also in a transaction of the caller.
      scope: query.order === 'by-row' && isMaintained ? 'savepoint' : 'transaction',
      nodes,
      source: isMaintained ? Object.freeze({ kind: 'lookups', source: own, shards }) : own,
      otherwise,
      pace: own.by !== 'typeorm' && !facts.isInTransaction && nodes.length > 1 ? 'at-once-first' : 'at-once',
    })
  const isUnited = parts.by === 'node' && query.kind === 'statement'
  return transaction(parts, isUnited && !facts.isInTransaction ? transaction(ownParts(query), undefined) : undefined)
}

/** The plan of a move: in one transaction, so that a reader sees a row on its old shard or on the new one. */
export const planMove = (move: MovePlan, scope: TransactionPlan['scope']): TransactionPlan =>
  Object.freeze({
    kind: 'transaction',
    scope,
    nodes: nodesOf([...move.shards, ...move.targets]),
    source: Object.freeze(move),
    otherwise: undefined,
    pace: 'at-once',
  })

const nodesOf = (shards: readonly Shard[]): readonly string[] =>
  Object.freeze([...new Set(shards.map(({ node }) => node))].sort())

/** All shards that a write may change. */
const shardsOf = (query: WriteQuery): readonly Shard[] =>
  query.kind === 'operation'
    ? query.shards
    : Object.freeze([...query.arms.map(({ shard }) => shard), ...query.alsoWritten])

function partsOf(query: WriteQuery, facts: WriteFacts): WriteParts {
  if (query.kind === 'operation')
    return Object.freeze({ kind: 'write', by: 'typeorm', shards: query.shards, inRounds: query.isHeard })
  const { arms, united, answer } = query
  if (!united || arms.length < 2) return ownParts(query)
  const statements = nodeWrites(arms, { ...facts, hasOwnTypes: united.hasOwnTypes })
  return Object.freeze({ kind: 'write', by: 'node', arms, united, statements, answer })
}

/** Each shard's own statement. */
const ownParts = ({ arms, answer }: StatementWrite): ShardParts =>
  Object.freeze({ kind: 'write', by: 'shard', arms, answer })
