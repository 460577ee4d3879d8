import { pushTo } from '../collections/push-to'
import { type FunctionOverload, type KnownFunctions, operatorKey } from '../routing/known-functions'

/** Asks a node; each statement on a connection of its own. */
export type AskNode = (
  node: string,
  text: string,
  values: readonly unknown[],
) => Promise<{ readonly rows: readonly FunctionRow[] }>

interface FunctionRow {
  readonly name: string
  readonly kind: string
  readonly volatility: string
  readonly set: boolean
  readonly least: number
  readonly most: number | null
  readonly builtIn: boolean
  readonly safe: boolean
  readonly columns: readonly string[] | null
  readonly open: boolean
  readonly signature: string
  readonly body: string
}

const kinds: Readonly<Record<string, FunctionOverload['kind']>> = { a: 'aggregate', w: 'window', p: 'procedure' }
const volatilities: Readonly<Record<string, FunctionOverload['volatility']>> = { i: 'immutable', s: 'stable' }

/**
 * What the nodes' own catalogs say of functions and operators: asked of a node once, when a statement first needs it, and
 * again for a name that it did not have, since functions may be made later. A function that is replaced by one of another
 * volatility is known as it was until the data source is opened anew.
 */
export class FunctionCatalog implements KnownFunctions {
  /** Grows when something new is known: what was read of a statement before may be wrong then. */
  version = 0
  private readonly asked = new Map<string, Promise<void>>()
  private readonly byName = new Map<string, FunctionOverload[]>()
  private readonly seen = new Set<string>()

  /** Versions of servers whose own functions are known. */
  private readonly versions = new Set<string>()

  /** @param versions of the nodes' servers, by node: the nodes that are asked */
  constructor(
    private readonly nodes: ReadonlyMap<string, string>,
    private readonly ask: AskNode,
  ) {}

  overloads(name: string): readonly FunctionOverload[] {
    return this.byName.get(name) ?? []
  }

  /** Knows what one node says, the first that answers. @throws the error of the last that does not */
  async ofAny(): Promise<void> {
    if (this.byName.size > 0) return
    let failure: unknown
    for (const node of this.nodes.keys()) {
      try {
        await this.load(node)
        return
      } catch (error) {
        failure = error
      }
    }
    throw failure
  }

  /** Knows what all of these nodes say. @throws the error of one that does not answer */
  async of(nodes: readonly string[]): Promise<void> {
    await Promise.all(nodes.map((node) => this.load(node)))
  }

  /** Asks all nodes for names that none had. */
  async lookFor(names: readonly string[]): Promise<void> {
    const missing = names.filter((name) => !this.byName.has(name))
    if (missing.length === 0) return
    await Promise.allSettled([...this.nodes.keys()].map((node) => this.read(node, missing)))
  }

  private load(node: string): Promise<void> {
    const known = this.asked.get(node)
    if (known) return known
    const loading = this.read(node)
    this.asked.set(node, loading)
    loading.catch(() => this.asked.delete(node))
    return loading
  }

  private async read(node: string, names?: readonly string[]): Promise<void> {
    const version = this.nodes.get(node) ?? ''
    const { rows } = await this.ask(node, question, [names ?? null, this.versions.has(version)])
    for (const row of rows) this.add(row)
    if (!names) this.versions.add(version)
  }

  private add(row: FunctionRow): void {
    // What two nodes say alike is one function.
    const text = JSON.stringify(row)
    if (this.seen.has(text)) return
    this.seen.add(text)
    this.version += 1
    pushTo(this.byName, row.name, overloadOf(row))
  }
}

const overloadOf = (row: FunctionRow): FunctionOverload =>
  Object.freeze({
    kind: kinds[row.kind] ?? 'function',
    volatility: volatilities[row.volatility] ?? 'volatile',
    returnsSet: row.set,
    fewestArguments: row.least,
    mostArguments: row.most ?? Number.POSITIVE_INFINITY,
    isBuiltIn: row.builtIn,
    isParallelSafe: row.safe,
    columns: row.columns ?? undefined,
    isOpenRow: row.open,
    signature: row.signature,
    body: row.body,
  })

/**
 * All functions that SQL can call, and the operators whose function is not immutable, or is a user's. The columns are those
 * of OUT and TABLE parameters, or of the composite type that it gives.
 */
const question = `SELECT p.proname::text AS name, p.prokind::text AS kind, p.provolatile::text AS volatility, p.proretset AS set,
  p.pronargs - p.pronargdefaults AS least, CASE WHEN p.provariadic = 0 THEN p.pronargs END AS most,
  p.pronamespace = 'pg_catalog'::regnamespace AS "builtIn", p.proparallel = 's' AS safe,
  CASE WHEN p.proargmodes IS NOT NULL AND p.proargmodes && '{o,b,t}'::"char"[]
    THEN (SELECT array_agg(coalesce(nullif(p.proargnames[m.i], ''), 'column' || m.n) ORDER BY m.i)
      FROM (SELECT s.i, row_number() OVER (ORDER BY s.i) AS n FROM generate_subscripts(p.proargmodes, 1) AS s(i)
        WHERE p.proargmodes[s.i] IN ('o', 'b', 't')) AS m)
    WHEN t.typtype = 'c' THEN (SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_catalog.pg_attribute a
      WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped) END AS columns,
  (t.typtype = 'p' AND t.typname IN ('record', 'anyelement', 'anycompatible') AND NOT coalesce(p.proargmodes && '{o,b,t}'::"char"[], false)
    AND NOT (p.proname = 'unnest')) AS open,
  CASE WHEN p.pronamespace = 'pg_catalog'::regnamespace THEN '' ELSE p.pronamespace::regnamespace || '.' || p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')' END AS signature,
  CASE WHEN p.pronamespace = 'pg_catalog'::regnamespace THEN '' ELSE md5(concat_ws(' ', p.prosrc, p.probin, p.prolang::text)) END AS body
FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_type t ON t.oid = p.prorettype
WHERE ($1::text[] IS NULL OR p.proname = ANY ($1)) AND NOT ($2::boolean AND p.pronamespace = 'pg_catalog'::regnamespace) AND NOT ('internal'::regtype = ANY (p.proargtypes)) AND t.typname <> 'trigger'
UNION ALL
SELECT '${operatorKey('')}' || o.oprname, 'f', p.provolatile::text, p.proretset, p.pronargs, p.pronargs,
  p.pronamespace = 'pg_catalog'::regnamespace, p.proparallel = 's', NULL, false,
  CASE WHEN p.pronamespace = 'pg_catalog'::regnamespace THEN '' ELSE o.oid::regoperator::text END,
  CASE WHEN p.pronamespace = 'pg_catalog'::regnamespace THEN '' ELSE md5(concat_ws(' ', p.prosrc, p.probin)) END
FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_proc p ON p.oid = o.oprcode
WHERE ($1::text[] IS NULL OR '${operatorKey('')}' || o.oprname = ANY ($1)) AND (p.provolatile = 'v' OR p.pronamespace <> 'pg_catalog'::regnamespace)`
