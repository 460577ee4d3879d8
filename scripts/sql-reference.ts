import type { Distribution } from '../src/routing/distribution/distribution'
import { distributionTable } from '../src/routing/distribution/distribution-table'
import { freeVolatileFunctions, sessionFunctions, settledFunctions } from '../src/routing/distribution/function-lists'

const words = { distributes: 'runs on each shard', conditional: 'by condition', refused: 'refused' } as const

const intro = `# SQL over shards

<!-- Made of src/routing/distribution by \`npm run docs:sql\`; \`npm run docs:check\` says where it differs. -->

A statement whose tables lie on one shard, or on one node, goes there as it is. This page is about all others: a statement runs shard by
shard only where every part of it is on this list, and each condition holds. A query that is on the list, and of which a condition does not hold, is
[gathered](../guide/gather.md) where it has no locks: rows of its tables are copied to one node, which answers it. What is not on the list, what is
refused, and a statement that writes where a condition does not hold, is \`STATEMENT_UNSUPPORTED\` (or \`JOIN_NOT_LOCAL\`), and nothing has been written
then. Ways out: name the shard key in the condition, use \`onShard(…)\`, or write the statement in parts.

"Of the row" means that the value hangs on the row and on constants alone.
`

const functions = `## Functions

What a function is (an aggregate, volatile, stable, of which columns) is asked of \`pg_proc\` of every node that takes part, by its name and the
number of its arguments. Where functions of one name differ, the strictest counts. A function of yours that has another body on another node is refused.

| \`pg_proc\` says | what happens |
|---|---|
| immutable | runs on each shard |
| aggregate, window function | within a shard where the groups hold the shard key; \`count\`, \`sum\`, \`min\`, \`max\`, \`avg\`, \`bool_and\` and the like are finished from halves; all others are finished on one node from the rows of all shards |
| stable, and about the session or the moment | asked of one node once a statement, and sent to all shards as a value; the time of a transaction is that of the node that it opened first. Refused in FROM, and with a column as its argument |
| stable, and about its arguments and settings that all sessions share | runs on each shard |
| stable, of PostgreSQL's catalogs | refused: each node has its own |
| stable, and yours | with constants as its arguments asked once; else on the shard of the row |
| volatile | asked once a row, on the shard of the row; where it hangs on no row (in a subquery, a WITH or VALUES) asked once for all shards; in FROM a query is gathered |
| volatile, and yours | as volatile where it is declared PARALLEL SAFE, by which its author says that it writes nothing and draws from no sequence; else a query is gathered, and asks it on the home node, where it may read and write unsharded tables and draw from sequences; a write over several shards is refused |
| volatile, and about the server (sequences, locks, settings, files) | refused; a function of sequences is refused on one shard too, but on the home node: in VALUES write \`(SELECT nextval(…))\`, of which the home node is asked |

A default of an entity's column that is a clock (\`now()\`, \`CURRENT_DATE\`, \`now() + interval '1 day'\`) or the user, such as that of \`@CreateDateColumn()\`, is one value for all rows of a transaction, too. A default that calls a volatile function, or one of yours, is computed by the node of the row. So is a default that the entity does not name, and what a trigger says of the time.

`

const list = (names: ReadonlySet<string>): string =>
  [...names]
    .sort()
    .map((name) => `\`${name}\``)
    .join(', ')

const row = ({ sql, rule, says, tests }: Distribution): string =>
  `| ${sql.replaceAll('|', '\\|')} | ${words[rule]} | ${says} | ${tests.map((test) => `\`${test.replace(/^test\//, '').replace(/\.test\.ts$/, '')}\``).join(', ')} |`

/** The page of SQL: what happens to each clause, and the tests that show it. */
export function sqlReference(): string {
  const rows = new Map<string, Distribution>()
  for (const entry of Object.values<Distribution>(distributionTable)) rows.set(`${entry.sql} ${entry.says}`, entry)
  const entries = [...rows.values()].filter(({ sql }) => sql !== 'nodes of the planner')
  return [
    intro,
    functions,
    `Volatile functions of PostgreSQL that may run: ${list(freeVolatileFunctions)}.\n`,
    `Functions that are asked once: ${list(sessionFunctions)}, and \`age\` of one argument.\n`,
    `Stable functions that run on each shard: ${list(settledFunctions)}.\n`,
    '## Clauses\n',
    '| clause | over shards | what happens | shown by |',
    '|---|---|---|---|',
    ...entries.map(row),
    '',
  ].join('\n')
}

/** What is wrong with the page: it is made of the table, and must say what the table says. */
export const sqlReferenceProblems = (markdown: string): readonly string[] =>
  markdown === sqlReference() ? [] : ['docs/reference/sql.md is not what the table says: run npm run docs:sql']
