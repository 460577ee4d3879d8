import { describe, expect, it } from 'vitest'
import { missingRequirements, type SourceReport, type TargetReport } from '../../../src/rebalancing/move-requirements'

const source: SourceReport = {
  name: 'a',
  version: 17,
  database: 'shop',
  role: 'app',
  walLevel: 'logical',
  freeSlots: 3,
  freeSenders: 3,
  isReplicator: true,
  mayCreate: true,
  replicator: { name: 'replicator', mayReplicate: true },
  unreadable: [],
  locale: 'UTF8 c',
  collations: ['pg_catalog."de-x-icu" 153'],
  extensions: ['citext'],
  roles: ['app', 'reader', 'owner'],
  owners: ['app', 'owner'],
  outside: [],
  absent: [],
  notOwned: [],
  withoutKey: [],
  withoutIdentity: [],
  withForcedPolicies: [],
  unsupported: [],
}
const target: TargetReport = {
  name: 'b',
  version: 18,
  database: 'shop',
  role: 'app',
  mayCreate: true,
  maySubscribe: true,
  freeWorkers: 3,
  freeOrigins: 3,
  locale: 'UTF8 c',
  collations: ['pg_catalog."de-x-icu" 153', 'pg_catalog."C"'],
  extensions: ['plpgsql', 'citext'],
  roles: ['app', 'reader', 'owner'],
  actsAs: ['app', 'owner'],
  lackedOutside: [],
  inTheWay: [],
  publisher: 'a',
  unreachable: undefined,
}

describe('what a move needs', () => {
  it('is all there on servers that are set up for it', () => {
    expect(missingRequirements(source, target)).toEqual([])
  })

  const sources: readonly (readonly [Partial<SourceReport>, string, string])[] = [
    [{ walLevel: 'replica' }, 'wal_level is replica', "ALTER SYSTEM SET wal_level = 'logical', and restart the server"],
    [{ isReplicator: false }, 'role app may not make replication slots', 'ALTER ROLE app REPLICATION'],
    [{ mayCreate: false }, 'role app may not make a publication and a schema', 'GRANT CREATE ON DATABASE shop TO app'],
    [{ withoutKey: ['s.t'] }, 'table s.t has no primary key', 'ALTER TABLE s.t ADD PRIMARY KEY (…)'],
    [{ withoutIdentity: ['s.t'] }, 'table s.t has no replica identity', 'ALTER TABLE s.t REPLICA IDENTITY FULL'],
    [{ notOwned: ['s.t'] }, 'role app does not own s.t', 'ALTER TABLE s.t OWNER TO app, or be a member of its owner'],
    [{ unsupported: ['view s.v'] }, 'view s.v does not move', 'drop it, or leave the shard where it is'],
    [{ unreadable: ['s.t'] }, 'role replicator may not read s.t', 'GRANT SELECT ON s.t TO replicator'],
  ]
  it.each(sources)('names at the source: %o', (report, what, fix) => {
    expect(missingRequirements({ ...source, ...report }, target)).toEqual([{ node: 'a', what, fix }])
  })

  const targets: readonly (readonly [Partial<TargetReport>, string, string])[] = [
    [{ maySubscribe: false }, 'role app may not make a subscription', 'GRANT pg_create_subscription TO app'],
    [{ version: 16 }, 'PostgreSQL 16 is older than 17', 'upgrade the server'],
    [{ extensions: [] }, 'extension citext is not there', 'CREATE EXTENSION citext'],
    [{ roles: ['app', 'owner'] }, 'role reader is not there', 'CREATE ROLE reader'],
    [{ actsAs: ['app'] }, 'role app may not give objects to role owner', 'GRANT owner TO app'],
    [{ inTheWay: ['schema s'] }, 'schema s is there already', 'finish the move that left it behind, or drop it'],
    [
      { lackedOutside: [{ kind: 'function', name: 'stamped()' }] },
      'function stamped(), which the shard refers to, is not there',
      'make the function',
    ],
  ]
  it.each(targets)('names at the target: %o', (report, what, fix) => {
    expect(missingRequirements(source, { ...target, ...report })).toEqual([{ node: 'b', what, fix }])
  })

  it('is the same order of texts on both', () => {
    const found = missingRequirements(source, { ...target, locale: 'UTF8 de', collations: [] })
    expect(found.map(({ what }) => what)).toEqual([
      'encoding and collation are UTF8 de, and UTF8 c at a',
      'collation pg_catalog."de-x-icu" 153 is not there in this version',
    ])
  })
})
