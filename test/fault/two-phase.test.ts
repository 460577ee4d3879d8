import { setTimeout as sleep } from 'node:timers/promises'
import { QueryFailedError } from 'typeorm'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  CommitOutcomeUnknownError,
  type ControlPoint,
  PartialCommitError,
  ShardedDataSource,
  type ShardedDataSourceOptions,
} from '../../src/index'
import { askXid, asLogin, formatPreparedId } from '../../src/transactions/prepared-transaction'
import { startCluster } from '../support/cluster'
import { startPipe } from '../support/pipe'
import { errorOf, Item, type OpenNodes, type Side, startTwoNodes, type TwoNodes, until } from './two-nodes'

const zeros = [0, 0, 0, 0, 0]
const fives = [5, 5, 5, 5, 5]
const sides: readonly Side[] = ['left', 'right']

describe('a commit in two phases', () => {
  let nodes: TwoNodes
  let open: OpenNodes
  const items = () => open.dataSource.getRepository(Item)
  const everywhere = () => Promise.all(sides.map((side) => open.values(side)))

  const query = (side: Side, text: string) => open.query(side, text)
  const prepared = async () =>
    (await Promise.all(sides.map((side) => query(side, 'SELECT gid FROM pg_prepared_xacts')))).flat()
  const decisions = async () =>
    (await Promise.all(sides.map((side) => query(side, 'SELECT id FROM sharding.decisions')))).flat()
  const identity = async (side: Side): Promise<string> =>
    (await query(side, 'SELECT id FROM sharding.nodes'))[0]?.['id'] ?? ''

  /** Runs a body at COMMIT, or PREPARE TRANSACTION, of a transaction that updated an item of this side. */
  const atCommit = (side: Side, body: string) =>
    query(
      side,
      `CREATE FUNCTION at_commit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${body}; RETURN NULL; END $$;
      CREATE CONSTRAINT TRIGGER at_commit AFTER UPDATE ON "item_${side}"."item"
      DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION at_commit()`,
    )
  const statements = async (work: () => Promise<unknown>): Promise<readonly string[]> => {
    const seen: string[] = []
    const end = open.dataSource.onStatement(({ node, text }) =>
      seen.push(`${node}: ${text.replace(asLogin, '').replace(askXid, '').trim().split(/\s+/).slice(0, 2).join(' ')}`),
    )
    await work()
    end()
    return seen
  }
  /** Kills a side's server at a control point of the write, and brings it back: after so many milliseconds, or after the write. */
  const killAt = async (point: ControlPoint, side: Side, write: () => Promise<unknown>, backAfterMs?: number) => {
    let back: Promise<void> | undefined
    const end = open.dataSource.onControlPoint(async (reached) => {
      if (reached !== point) return
      end()
      await nodes.clusters[side].kill()
      if (backAfterMs !== undefined) back = sleep(backAfterMs).then(() => nodes.clusters[side].restart())
    })
    const outcome = await write().then(
      () => 'committed',
      (error: unknown) => error,
    )
    await (back ?? nodes.clusters[side].restart())
    return outcome
  }
  const recovered = async () => {
    await until(async () => {
      await open.dataSource.recoverTransactions()
      return (await prepared()).length === 0
    })
  }

  beforeAll(async () => {
    nodes = await startTwoNodes()
  })
  beforeEach(async () => {
    open = await nodes.open({ transactions: 'two-phase' })
  })
  afterEach(async () => {
    for (const side of sides)
      for (const { gid } of await query(side, 'SELECT gid FROM pg_prepared_xacts WHERE database = current_database()'))
        await query(side, `ROLLBACK PREPARED '${gid}'`)
    await open.close()
  })
  afterAll(() => nodes.stop())

  it('prepares all but the decider, and leaves nothing behind', async () => {
    const seen = await statements(() => items().updateAll({ value: 5 }))
    expect(seen.filter((text) => !/UPDATE/.test(text)).sort()).toEqual([
      'left: COMMIT',
      'left: INSERT INTO',
      'left: START TRANSACTION',
      'right: COMMIT PREPARED',
      'right: PREPARE TRANSACTION',
      'right: START TRANSACTION',
    ])
    expect(await everywhere()).toEqual([fives, fives])
    expect(await prepared()).toEqual([])
    await until(async () => (await decisions()).length === 0)
  })

  /** Ends by hand what is prepared at a control point, past the data source. */
  const byHand = (point: ControlPoint, verb: 'COMMIT' | 'ROLLBACK') => {
    const end = open.dataSource.onControlPoint(async (reached) => {
      if (reached !== point) return
      end()
      for (const side of sides)
        for (const { gid } of await query(
          side,
          'SELECT gid FROM pg_prepared_xacts WHERE database = current_database()',
        ))
          await query(side, `${verb} PREPARED '${gid}'`)
    })
  }

  it.each(['commit:after-prepare', 'commit:after-decision', 'commit:before-finish'] as const)(
    'says who has committed and who has not where somebody rolls a prepared transaction back by hand, %s',
    async (point) => {
      byHand(point, 'ROLLBACK')
      const error = await errorOf(items().updateAll({ value: 5 }))
      expect(error).toBeInstanceOf(PartialCommitError)
      expect(error).toMatchObject({
        code: 'PARTIAL_COMMIT',
        details: { committed: ['item_left'], failed: ['item_right'], unknown: [] },
      })
      expect(await everywhere()).toEqual([fives, zeros])
    },
  )

  it('says who has committed where somebody commits a prepared transaction by hand, and the decider then refuses', async () => {
    const end = open.dataSource.onControlPoint(async (reached) => {
      if (reached !== 'commit:before-decision') return
      end()
      await query(
        'left',
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction' AND pid <> pg_backend_pid()`,
      )
    })
    byHand('commit:before-undo', 'COMMIT')
    const error = await errorOf(items().updateAll({ value: 5 }))
    expect(error).toMatchObject({
      code: 'PARTIAL_COMMIT',
      details: { committed: ['item_right'], failed: ['item_left'], unknown: [] },
    })
    expect(await everywhere()).toEqual([zeros, fives])
  })

  it('takes a participant that recovery has committed for committed', async () => {
    byHand('commit:after-decision', 'COMMIT')
    await items().updateAll({ value: 5 })
    expect(await everywhere()).toEqual([fives, fives])
  })

  it('needs no two phases for one writer and any readers', async () => {
    const seen = await statements(() =>
      open.dataSource.transaction(async (manager) => {
        expect(await manager.count(Item)).toBe(10)
        await manager.update(Item, { id: 3 }, { value: 5 })
      }),
    )
    expect(seen.filter((text) => /PREPARE|INSERT/.test(text))).toEqual([])
    // The reader first: it might be refused.
    expect(seen.filter((text) => /COMMIT/.test(text))).toEqual(['left: COMMIT', 'right: COMMIT'])
    expect(await everywhere()).toEqual([zeros, [0, 5, 0, 0, 0]])
  })

  it('commits a transaction that only read', async () => {
    const seen = await statements(() => open.dataSource.transaction((manager) => manager.find(Item)))
    expect(seen.filter((text) => /COMMIT/.test(text))).toHaveLength(2)
    expect(seen.filter((text) => /PREPARE/.test(text))).toEqual([])
  })

  it.each(sides)('writes nothing where %s refuses, and says so as TypeORM does', async (side) => {
    await atCommit(side, `RAISE EXCEPTION 'not today' USING ERRCODE = '23514'`)
    const error = await errorOf(items().updateAll({ value: 5 }))
    expect(error).toBeInstanceOf(QueryFailedError)
    expect(error).toMatchObject({ code: '23514', message: 'not today', driverError: { code: '23514' } })
    expect(await everywhere()).toEqual([zeros, zeros])
    expect(await prepared()).toEqual([])
    await until(async () => (await decisions()).length === 0)
  })

  it.each(sides)('writes nothing where %s dies while it prepares or commits', async (side) => {
    await atCommit(side, 'PERFORM pg_sleep(30)')
    const error = errorOf(items().updateAll({ value: 5 }))
    await until(async () => (await open.sessions(side)).some(({ waits }) => waits === 'Timeout'))
    await nodes.clusters[side].kill()
    await nodes.clusters[side].restart()
    expect(await error).toMatchObject({ code: 'SHARD_UNAVAILABLE', labels: ['retryable', 'no-writes'] })
    await recovered()
    expect(await everywhere()).toEqual([zeros, zeros])
  })

  it('does not know the outcome while the decider is down, and recovery settles it', async () => {
    open.dataSource.onControlPoint(async (point) => {
      if (point === 'commit:before-decision') await nodes.clusters.left.kill()
    })
    const error = await errorOf(items().updateAll({ value: 5 }))
    expect(error).toBeInstanceOf(CommitOutcomeUnknownError)
    expect(error).toMatchObject({ labels: ['outcome-unknown'], details: { shards: ['item_left', 'item_right'] } })
    expect((await open.dataSource.recoverTransactions()).pending).not.toEqual([])
    await nodes.clusters.left.restart()
    await recovered()
    expect(await everywhere()).toEqual([zeros, zeros])
  })

  it('says that nothing was written where the decider dies before it, and is back to tell', async () => {
    const error = await killAt('commit:before-decision', 'left', () => items().updateAll({ value: 5 }), 300)
    expect(error).toMatchObject({ code: 'TRANSACTION_ABORTED', labels: ['no-writes', 'retryable'] })
    await recovered()
    expect(await everywhere()).toEqual([zeros, zeros])
  })

  it('is committed whatever a listener throws at COMMIT', async () => {
    const end = open.dataSource.onStatement(({ text }) => {
      if (text === 'COMMIT') throw new Error('a mistake of the listener')
    })
    const warned = new Promise((resolve) => process.once('warning', resolve))
    await items().updateAll({ value: 5 })
    end()
    expect(String(await warned)).toContain('a mistake of the listener')
    expect(await everywhere()).toEqual([fives, fives])
  })

  it('commits what was written under another role, which could do neither phase', async () => {
    for (const side of sides) {
      await query(side, 'DROP OWNED BY nobody_here').catch(() => undefined)
      await query(side, 'CREATE ROLE nobody_here').catch(() => undefined)
      await query(side, `GRANT USAGE ON SCHEMA "item_${side}" TO nobody_here`)
      await query(side, `GRANT ALL ON ALL TABLES IN SCHEMA "item_${side}" TO nobody_here`)
    }
    await open.dataSource.transaction(async (manager) => {
      await manager.query(`SELECT set_config('role', 'nobody_here', true)`)
      for (const id of [2, 3]) await manager.update(Item, { id }, { value: 5 })
    })
    expect(await prepared()).toEqual([])
    expect(await items().sum('value')).toBe(10)
  })

  it('takes no statement any more once it ends', async () => {
    const late: Promise<unknown>[] = []
    const runner = open.dataSource.createQueryRunner()
    await runner.startTransaction()
    await runner.manager.update(Item, { id: 2 }, { value: 5 })
    await runner.manager.update(Item, { id: 3 }, { value: 5 })
    open.dataSource.onControlPoint((point) => {
      if (point !== 'commit:after-prepare') return
      late.push(errorOf(runner.manager.update(Item, { id: 3 }, { value: 77 })))
      late.push(errorOf(runner.commitTransaction()), errorOf(runner.rollbackTransaction()))
    })
    const commit = runner.commitTransaction()
    const release = runner.release()
    await Promise.all([commit, release])
    expect(late).toHaveLength(3)
    expect((await Promise.all(late)).map((error) => (error as Error).name)).toEqual([
      'QueryRunnerAlreadyReleasedError',
      'TransactionNotStartedError',
      'TransactionNotStartedError',
    ])
    expect(await items().sum('value')).toBe(10)
  })

  it('is recovered although every connection waits for a lock that it holds', async () => {
    await query(
      'right',
      `BEGIN; UPDATE "item_right"."item" SET value = 1; PREPARE TRANSACTION '${formatPreparedId({
        decider: await identity('left'),
        transaction: 'b'.repeat(32),
        participant: await identity('right'),
      })}'`,
    )
    const waiting = Array.from({ length: 12 }, () => items().increment({ id: 3 }, 'value', 1))
    await Promise.all(waiting)
    expect(await items().findOneByOrFail({ id: 3 })).toEqual({ id: 3, value: 12 })
  })

  it('lets no statement wait for ever on a connection that broke', async () => {
    const error = await errorOf(
      open.dataSource.transaction(async (manager) => {
        await manager.update(Item, { id: 3 }, { value: 5 })
        const three = [1, 2, 3].map(() => manager.query(`SELECT pg_sleep(5), count(*) FROM item WHERE id = 3`))
        setTimeout(() => void nodes.clusters.right.kill(), 100)
        const settled = await Promise.allSettled(three)
        expect(settled.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
        throw new Error('over')
      }),
    )
    await nodes.clusters.right.restart()
    expect(String(error)).toContain('over')
  })

  it('is committed where a node dies after the decision', async () => {
    expect(await killAt('commit:after-decision', 'right', () => items().updateAll({ value: 5 }))).toBe('committed')
    await recovered()
    expect(await everywhere()).toEqual([fives, fives])
  })

  it('is committed where the decider dies after the decision', async () => {
    expect(await killAt('commit:after-decision', 'left', () => items().updateAll({ value: 5 }))).toBe('committed')
    await recovered()
    expect(await everywhere()).toEqual([fives, fives])
  })

  it('refuses to commit a transaction whose failed statement the caller swallowed', async () => {
    const error = await errorOf(
      open.dataSource.transaction(async (manager) => {
        await manager.update(Item, { id: 3 }, { value: 5 })
        await manager.insert(Item, { id: 2 }).catch(() => undefined)
      }),
    )
    expect(error).toMatchObject({ code: 'TRANSACTION_ABORTED', labels: ['no-writes'] })
    expect(await everywhere()).toEqual([zeros, zeros])
  })

  it('keeps the driver’s error of a serialization failure', async () => {
    const update = (value: number, after: () => Promise<unknown>) =>
      open.dataSource.transaction('SERIALIZABLE', async (manager) => {
        await manager.find(Item)
        await after()
        await manager.update(Item, { id: 2 }, { value })
        await manager.update(Item, { id: 3 }, { value })
      })
    const error = await errorOf(update(1, () => update(2, async () => undefined)))
    expect(error).toBeInstanceOf(QueryFailedError)
    expect(error).toMatchObject({ code: '40001' })
    expect(await everywhere()).toEqual([
      [0, 2, 0, 0, 0],
      [0, 2, 0, 0, 0],
    ])
  })

  describe('recovery', () => {
    const transaction = 'a'.repeat(32)
    /** Leaves an item of the right side updated and prepared, as a coordinator that died. */
    const leavePrepared = async (id: string) =>
      query('right', `BEGIN; UPDATE "item_right"."item" SET value = 5; PREPARE TRANSACTION '${id}'`)
    const idOf = async (decider: string) =>
      formatPreparedId({ decider, transaction, participant: await identity('right') })
    const old = () => new Promise((resolve) => setTimeout(resolve, 300))

    it('rolls back what has no decision', async () => {
      await leavePrepared(await idOf(await identity('left')))
      await old()
      expect(await open.dataSource.recoverTransactions()).toEqual({
        committed: 0,
        rolledBack: 1,
        cleaned: 0,
        pending: [],
      })
      expect(await everywhere()).toEqual([zeros, zeros])
    })

    it('commits what has one, in several processes at once, and then cleans up', async () => {
      await leavePrepared(await idOf(await identity('left')))
      await query(
        'left',
        `INSERT INTO sharding.decisions VALUES ('${transaction}', '{${await identity('right')}}', now() - interval '6 minutes')`,
      )
      const others = await Promise.all(
        Array.from({ length: 3 }, () => new ShardedDataSource(open.options).initialize()),
      )
      await until(async () => {
        await Promise.all([open.dataSource, ...others].map((dataSource) => dataSource.recoverTransactions()))
        return (await prepared()).length === 0 && (await decisions()).length === 0
      })
      await Promise.all(others.map((dataSource) => dataSource.destroy()))
      expect(await everywhere()).toEqual([zeros, fives])
    })

    it('waits for a decider that still runs', async () => {
      await leavePrepared(await idOf(await identity('left')))
      const decider = await open.client('left')
      await decider.query(`BEGIN; INSERT INTO sharding.decisions VALUES ('${transaction}', '{}')`)
      await old()
      const { pending } = await open.dataSource.recoverTransactions()
      expect(pending).toMatchObject([{ node: 'right', reason: 'Its commit on node left is still under way.' }])
      const recovery = open.dataSource.recoverTransactions()
      await decider.query('COMMIT')
      expect(await recovery).toMatchObject({ committed: 1, rolledBack: 0, pending: [] })
      expect(await everywhere()).toEqual([zeros, fives])
    })

    it('leaves no question open whose process falls silent', async () => {
      await leavePrepared(await idOf(await identity('left')))
      const decider = await open.client('left')
      await decider.query(`BEGIN; INSERT INTO sharding.decisions VALUES ('${transaction}', '{}')`)
      const pipe = await startPipe(nodes.clusters.left.port)
      const left = new URL(open.options.nodes['left']?.url ?? '')
      left.port = String(pipe.port)
      const options = { ...open.options, nodes: { ...open.options.nodes, left: { url: left.href } } }
      const silent = new ShardedDataSource({ ...options, applicationName: 'silent' })
      const states = async (): Promise<readonly unknown[]> =>
        query('left', `SELECT wait_event_type, state FROM pg_stat_activity WHERE application_name = 'silent'`)
      try {
        await silent.initialize()
        await old()
        void silent.recoverTransactions().catch(() => undefined)
        await until(async () => JSON.stringify(await states()).includes('Lock'))
        pipe.freeze()
        await decider.query('ROLLBACK')
        await until(async () => !JSON.stringify(await states()).includes('active'))
        expect(JSON.stringify(await states())).not.toContain('in transaction')
        await recovered()
        expect(await everywhere()).toEqual([zeros, zeros])
      } finally {
        pipe.close()
        await silent.destroy().catch(() => undefined)
      }
    })

    it('leaves alone what is not its own', async () => {
      await leavePrepared('somebody else’s')
      await query('right', `BEGIN; CREATE TABLE t (); PREPARE TRANSACTION '${await idOf('0'.repeat(16))}'`)
      await old()
      expect(await open.dataSource.recoverTransactions()).toEqual({
        committed: 0,
        rolledBack: 0,
        cleaned: 0,
        pending: [],
      })
      expect(await prepared()).toHaveLength(2)
    })

    it('keeps a decision row whose participants it does not know', async () => {
      await query(
        'left',
        `INSERT INTO sharding.decisions VALUES ('${transaction}', '{elsewhere}', now() - interval '6 minutes')`,
      )
      await old()
      expect(await open.dataSource.recoverTransactions()).toMatchObject({ cleaned: 0, pending: [] })
      expect(await decisions()).toEqual([{ id: transaction }])
    })

    it('runs by itself', async () => {
      await leavePrepared(await idOf(await identity('left')))
      await until(async () => (await prepared()).length === 0)
      expect(await everywhere()).toEqual([zeros, zeros])
    })
  })
})

/** A logger, but for what it logs. */
const silent = { logQuery() {}, logSchemaBuild() {}, logMigration() {} }

describe('how transactions are committed', () => {
  let nodes: TwoNodes
  beforeAll(async () => {
    nodes = await startTwoNodes()
  })
  afterAll(() => nodes.stop())

  it('is best-effort where a node does not prepare, and the log says so once', async () => {
    const cluster = await startCluster({ name: 'none', settings: { max_prepared_transactions: '0' } })
    const warnings: string[] = []
    const options = {
      type: 'postgres',
      entities: [],
      nodes: { left: { url: nodes.clusters.left.url() }, none: { url: cluster.url() } },
      logger: { ...silent, log: (_: string, text: string) => warnings.push(text) },
    } as const
    try {
      const dataSource = await new ShardedDataSource(options as never).initialize()
      expect(warnings).toEqual([
        expect.stringMatching(
          /^Writes over several nodes are best-effort\. Node none .* max_prepared_transactions is 0/,
        ),
      ])
      await expect(dataSource.recoverTransactions()).rejects.toMatchObject({ code: 'TWO_PHASE_UNAVAILABLE' })
      await dataSource.destroy()
      const strict = new ShardedDataSource({ ...options, transactions: 'two-phase' } as never)
      await expect(strict.initialize()).rejects.toMatchObject({
        code: 'TWO_PHASE_UNAVAILABLE',
        details: { node: 'none' },
      })
      expect(strict.isInitialized).toBe(false)
    } finally {
      await cluster.stop()
    }
  })

  it.each(['SELECT', 'INSERT', 'DELETE'])(
    'is best-effort where a role may not %s decisions, which it is told at the start',
    async (privilege) => {
      const open = await nodes.open({ transactions: 'two-phase' })
      const role = `may_not_${privilege.toLowerCase()}`
      const { left, right } = open.options.nodes
      const url = new URL((right as { url: string }).url)
      url.username = role
      url.password = role
      const warnings: string[] = []
      const options = {
        type: 'postgres',
        nodes: { left, right: { url: url.href } },
        logger: { ...silent, log: (_: string, text: string) => warnings.push(text) },
      } as unknown as ShardedDataSourceOptions
      const lacks = `Node right does not take part in two-phase commits: its role lacks ${privilege} on sharding.decisions.`
      try {
        await open.query('right', `CREATE ROLE ${role} LOGIN PASSWORD '${role}'`)
        await open.query('right', `GRANT SELECT ON sharding.nodes TO ${role}`)
        await open.query('right', `GRANT ALL ON sharding.decisions TO ${role}`)
        const whole = await new ShardedDataSource({ ...options, transactions: 'two-phase' }).initialize()
        expect(await whole.recoverTransactions()).toMatchObject({ pending: [] })
        await whole.destroy()
        expect(warnings).toEqual([])
        await open.query('right', `REVOKE ${privilege} ON sharding.decisions FROM ${role}`)
        const lesser = await new ShardedDataSource(options).initialize()
        await lesser.destroy()
        expect(warnings).toEqual([expect.stringContaining(`Writes over several nodes are best-effort. ${lacks}`)])
        const strict = new ShardedDataSource({ ...options, transactions: 'two-phase' })
        expect(await errorOf(strict.initialize())).toMatchObject({
          code: 'TWO_PHASE_UNAVAILABLE',
          message: expect.stringContaining(lacks),
          details: { node: 'right' },
        })
        expect(strict.isInitialized).toBe(false)
      } finally {
        await open.query('right', `DROP OWNED BY ${role}; DROP ROLE ${role}`)
        await open.close()
      }
    },
  )

  it('is not in two phases over a database and itself', async () => {
    const url = nodes.clusters.left.url()
    const twins = new ShardedDataSource({
      type: 'postgres',
      entities: [],
      nodes: { left: { url }, twin: { url } },
      transactions: 'two-phase',
    })
    await expect(twins.initialize()).rejects.toMatchObject({ code: 'TWO_PHASE_UNAVAILABLE' })
  })

  it('is not anything else', () => {
    const make = () =>
      new ShardedDataSource({ type: 'postgres', nodes: { a: {} }, transactions: 'two-phases' as 'two-phase' })
    expect(make).toThrow('transactions is "two-phases"; it takes two-phase, best-effort, single-shard')
  })

  it('refuses the second shard of a single-shard transaction, before anything is written there', async () => {
    const open = await nodes.open({ transactions: 'best-effort' })
    const single = await new ShardedDataSource({ ...open.options, transactions: 'single-shard' }).initialize()
    const refused = { code: 'SINGLE_SHARD_TRANSACTION', labels: ['no-writes'] }
    try {
      const seen: string[] = []
      single.onStatement(({ node, text }) => seen.push(`${node} ${text}`))
      const transaction = single.transaction(async (manager) => {
        await manager.update(Item, { id: 2 }, { value: 5 })
        await manager.update(Item, { id: 3 }, { value: 5 })
      })
      expect(await errorOf(transaction)).toMatchObject(refused)
      expect(seen.filter((text) => text.startsWith('right'))).toEqual([])
      expect(await errorOf(single.getRepository(Item).updateAll({ value: 5 }))).toMatchObject(refused)
      expect(await errorOf(single.transaction((manager) => manager.find(Item)))).toMatchObject(refused)
      expect([await open.values('left'), await open.values('right')]).toEqual([zeros, zeros])
      await single.transaction((manager) => manager.update(Item, { id: 3 }, { value: 5 }))
      expect(await single.getRepository(Item).sum('value')).toBe(5)
    } finally {
      await single.destroy()
      await open.close()
    }
  })
})
