import { AsyncLocalStorage } from 'node:async_hooks'
import type { EntityMetadata } from 'typeorm'
import { chunksOf } from '../../collections/chunks-of'
import type { CapturedChange } from '../../lookups/write-order'
import type { Row } from '../../merging/row'
import { literal } from '../../values/literal'
import { quoted } from '../../values/quoted'
import type { ApartKey } from '../binding/apart-keys'
import { type KeyPair, relationKey } from '../binding/relation-keys'
import { type KeyedColumn, keyCondition, keysOfStatement } from '../reads/key-condition'
import type { ShardAccess } from '../runners/shard-access'
import type { ShardTransaction } from '../runners/shard-transaction'

type Keys = readonly (readonly string[])[]

/** What a write took away that rows of other databases may refer to. */
interface Loss {
  readonly key: ApartKey
  readonly keys: Keys
  /** Rows were deleted; otherwise their keys were changed. */
  readonly isDelete: boolean
}

/** What statements take away that run while a write is kept: it waits for its turn. */
interface Waiting {
  readonly transaction: ShardTransaction
  readonly losses: Loss[]
}

const waiting = new AsyncLocalStorage<Waiting>()

/**
 * Does what foreign keys would do about rows that were deleted, or whose keys were changed, in the transaction of the write: refuses it where
 * something still refers to them, deletes that, or has it refer to nothing. What it deletes is noted and kept in its turn, level after level.
 * NO ACTION is asked for at the end: what refers to a row may go by another way.
 *
 * @throws QueryFailedError 23503, 23001, 0A000 of a TRUNCATE
 */
export async function keepApartKeys(
  access: ShardAccess,
  changes: ReadonlyMap<string, readonly CapturedChange[]>,
): Promise<void> {
  const { transaction } = access
  if (access.runtime.lookups.apartKeys.size === 0 || !transaction) return
  const losses = await lossesOf(access, transaction, changes)
  if (losses.length === 0) return
  const above = waiting.getStore()
  if (above?.transaction === transaction) above.losses.push(...losses)
  else await keepAll(access, transaction, losses)
}

async function lossesOf(
  access: ShardAccess,
  transaction: ShardTransaction,
  changes: ReadonlyMap<string, readonly CapturedChange[]>,
): Promise<readonly Loss[]> {
  const losses: Loss[] = []
  for (const [name, own] of changes) {
    const key = access.runtime.lookups.apartKeys.named(name)
    if (!key) continue
    if (own.some(({ event }) => event === 'TRUNCATE')) {
      // What refers to its own table is gone with it.
      if (key.referring.tableName !== key.referred.source.table) await refuseTruncate(access, key)
      continue
    }
    for (const isDelete of [true, false]) {
      const lost = own.filter(({ event }) => (event === 'DELETE') === isDelete).map(({ entry }) => entry)
      const keys = await goneOf(transaction, key, lost)
      if (keys.length > 0) losses.push({ key, keys, isDelete })
    }
  }
  return losses
}

async function keepAll(access: ShardAccess, transaction: ShardTransaction, losses: readonly Loss[]): Promise<void> {
  const { points } = access.runtime.transactions
  await points.reach('on-delete:noted', undefined)
  const atTheEnd: Loss[] = []
  for (let level = losses; level.length > 0; ) {
    for (const loss of level) if (isRestricted(loss)) await keep(access, transaction, loss)
    const next: Loss[] = []
    await waiting.run({ transaction, losses: next }, async () => {
      for (const loss of referringFirst(level.filter(isDone))) await keep(access, transaction, loss)
    })
    atTheEnd.push(...level.filter((loss) => !isRestricted(loss) && !isDone(loss)))
    level = next
  }
  for (const loss of atTheEnd) await keep(access, transaction, loss)
  await points.reach('on-delete:done', undefined)
}

const isRestricted = ({ key, isDelete }: Loss): boolean => isDelete && key.onDelete === 'RESTRICT'

const isDone = ({ key, isDelete }: Loss): boolean =>
  isDelete && (key.onDelete === 'CASCADE' || key.onDelete === 'SET NULL')

/** A foreign key between tables of one shard is asked at the end of each statement: rows go before those that they refer to. */
function referringFirst(losses: readonly Loss[]): readonly Loss[] {
  const ordered = new Set<Loss>()
  const visited = new Set<Loss>()
  const place = (loss: Loss): void => {
    if (visited.has(loss)) return
    visited.add(loss)
    const { tablePath } = loss.key.referring
    for (const other of losses) if (referredTables(other).includes(tablePath)) place(other)
    ordered.add(loss)
  }
  for (const loss of losses) place(loss)
  return [...ordered]
}

const referredTables = ({ key }: Loss): readonly string[] =>
  key.referring.foreignKeys.map(({ referencedEntityMetadata }) => referencedEntityMetadata.tablePath)

/** A key may be there again: its row has moved, or was replaced. */
async function goneOf(transaction: ShardTransaction, { inverse, pairs }: ApartKey, lost: Keys): Promise<Keys> {
  const gone = new Map(lost.map((texts) => [relationKey(texts, pairs), texts]))
  const columns = keyedColumns(pairs, 'far')
  for (const chunk of chunksOf([...gone.values()], keysOfStatement)) {
    const { text, parameters } = conditionOn(columns, chunk)
    const table = tableOf(inverse)
    const found = await transaction.runWithin(`SELECT ${keyOutputs(columns)} FROM ${table} WHERE ${text}`, parameters)
    for (const row of found) gone.delete(relationKey(keyIn(row, pairs), pairs))
  }
  return [...gone.values()]
}

async function keep(access: ShardAccess, transaction: ShardTransaction, loss: Loss): Promise<void> {
  const { key, keys, isDelete } = loss
  const { referring, pairs, onDelete } = key
  const table = tableOf(referring)
  const columns = keyedColumns(pairs, 'own')
  for (const chunk of chunksOf(keys, keysOfStatement)) {
    const { text, parameters } = conditionOn(columns, chunk)
    if (isDelete && onDelete === 'CASCADE')
      await transaction.runWithin(`DELETE FROM ${table} WHERE ${text}`, parameters)
    else if (isDelete && onDelete === 'SET NULL') {
      const sets = columns.map(({ text: column }) => `${column} = NULL`).join(', ')
      await transaction.runWithin(`UPDATE ${table} SET ${sets} WHERE ${text}`, parameters)
    } else {
      const [row] = await transaction.runWithin(
        `SELECT ${keyOutputs(columns)} FROM ${table} WHERE ${text} LIMIT 1`,
        parameters,
      )
      if (row) await (!isDelete && key.isCarried ? refuseCarrying : refuseReferred)(access, loss, keyIn(row, pairs))
    }
  }
}

const tableOf = ({ tablePath }: EntityMetadata): string => tablePath.split('.').map(quoted).join('.')

const keyOutputs = (columns: readonly KeyedColumn[]): string =>
  columns.map(({ text }, index) => `${text}::text AS "key${index}"`).join(', ')

const keyIn = (row: Row, pairs: readonly KeyPair[]): readonly string[] =>
  pairs.map((_, index) => String(row[`key${index}`]))

/** @throws QueryFailedError 23503; of ON DELETE RESTRICT 23001 from PostgreSQL 18 on */
function refuseReferred(access: ShardAccess, { key, isDelete }: Loss, values: readonly string[]): Promise<void> {
  const { constraint, referred, onDelete } = key
  const { tableName } = key.referring
  const isRestrict = isDelete && onDelete === 'RESTRICT' && Number.parseInt(homeVersion(access), 10) >= 18
  const [code, what, still] = isRestrict
    ? ['23001', 'RESTRICT setting of foreign key constraint', '']
    : ['23503', 'foreign key constraint', 'still ']
  return raise(access, {
    code,
    message: `update or delete on table "${referred.source.table}" violates ${what} "${constraint}" on table "${tableName}"`,
    detail: `Key (${keyNames(key)})=(${values.join(', ')}) is ${still}referenced from table "${tableName}".`,
    table: tableName,
    constraint,
  })
}

/** ON UPDATE CASCADE has the rows refer to the new key, and what is noted of a change is the old one. @throws QueryFailedError 0A000 */
const refuseCarrying = (access: ShardAccess, { key }: Loss, values: readonly string[]): Promise<void> =>
  raise(access, {
    code: '0A000',
    message: `the key of a row of "${key.referred.source.table}" cannot change while rows of "${key.referring.tableName}" in other databases refer to it`,
    detail: `Key (${keyNames(key)})=(${values.join(', ')}) is referenced from table "${key.referring.tableName}".`,
    table: key.referring.tableName,
    constraint: key.constraint,
  })

const keyNames = ({ pairs }: ApartKey): string => pairs.map(({ far }) => far.databaseName).join(', ')

const homeVersion = ({ runtime: { map, pool } }: ShardAccess): string => pool(map.home).facts.version

/** As PostgreSQL refuses it, whether there are rows that refer to any or not. @throws QueryFailedError 0A000 */
const refuseTruncate = (access: ShardAccess, { referring, referred }: ApartKey): Promise<void> =>
  raise(access, {
    code: '0A000',
    message: 'cannot truncate a table referenced in a foreign key constraint',
    detail: `Table "${referring.tableName}" references "${referred.source.table}".`,
  })

interface Refusal {
  readonly code: string
  readonly message: string
  readonly detail: string
  readonly table?: string
  readonly constraint?: string
}

/** A node raises the error, as it would by a foreign key: the transaction has failed then, whatever the caller does. */
async function raise(access: ShardAccess, { code: errcode, ...refusal }: Refusal): Promise<void> {
  const using = Object.entries({ errcode, ...refusal }).map(([name, value]) => `${name} = ${literal(value)}`)
  const text = `DO ${literal(`BEGIN RAISE EXCEPTION USING ${using.join(', ')}; END`)}`
  const { transaction, runtime } = access
  const node = transaction?.firstNode ?? runtime.map.home
  const [shard] = [...runtime.map.shards.values()].filter((one) => one.node === node)
  await access.query([{ node, shards: shard ? [shard.name] : [], text, parameters: [] }])
}

interface Condition {
  readonly text: string
  readonly parameters: readonly unknown[]
}

function conditionOn(columns: readonly KeyedColumn[], keys: Keys): Condition {
  const parameters: unknown[] = []
  return { text: keyCondition(columns, keys, (values) => `$${parameters.push(values)}`), parameters }
}

const keyedColumns = (pairs: readonly KeyPair[], side: 'own' | 'far'): readonly KeyedColumn[] =>
  pairs.map(({ type, [side]: column }) => ({ text: quoted(column.databaseName), type, column }))
