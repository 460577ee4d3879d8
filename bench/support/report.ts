import { type Measure, meets } from './bench'

/** Where and when a bench ran. */
export interface Occasion {
  readonly machine: {
    readonly cores: number
    readonly processor: string
    readonly memoryGiB: number
    readonly node: string
    readonly postgres: string
  }
  readonly date: string
}

/** What the latest runs leave behind: each bench with its own occasion, since a run may be of some benches only. */
export interface Results {
  readonly occasions: Readonly<Record<string, Occasion>>
  readonly benches: Readonly<Record<string, readonly Measure[]>>
}

const number = (value: number): string => value.toFixed(Math.abs(value) < 10 ? 2 : 1)

const targetText = ({ target }: Measure): string => {
  if (!target) return ''
  return 'atLeast' in target ? `≥ ${target.atLeast}` : `≤ ${target.atMost}`
}

const verdict = (measure: Measure): string => {
  if (!measure.target) return ''
  return meets(measure) ? 'met' : 'missed'
}

const cells = (measure: Measure): readonly string[] => [
  measure.peer === undefined ? measure.name : `${measure.name}: ${measure.peer}`,
  measure.refused ?? `${number(measure.median)} ${measure.unit}`,
  measure.rounds > 1 ? `${number(measure.min)} – ${number(measure.max)}` : '',
  measure.detail,
  targetText(measure),
  verdict(measure),
]

const heads = ['work', 'median', 'spread', 'ours and plain', 'target', 'verdict']

type Rows = readonly (readonly string[])[]

/** Each column padded to its widest cell. */
const padded = (rows: Rows): Rows => {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)))
}

const tableOf = (measures: readonly Measure[]): Rows => [heads, ...measures.map(cells)]

/** The measures for a terminal. */
export const textTable = (measures: readonly Measure[]): string =>
  padded(tableOf(measures))
    .map((row) => row.join('  ').trimEnd())
    .join('\n')

const markdown = (table: Rows): string => {
  const [head = [], ...rows] = padded(table)
  const rule = head.map((cell) => '-'.repeat(cell.length))
  return [head, rule, ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n')
}

const hasPeer = ({ peer }: Measure): boolean => peer !== undefined

const alone = (benches: Results['benches']): readonly Measure[] =>
  Object.values(benches)
    .flat()
    .filter((measure) => !hasPeer(measure))

/** A line a work, a column a peer: the medians, and the spread of ours. */
const peerTable = (measures: readonly Measure[]): Rows => {
  const peers = [...new Set(measures.map(({ peer }) => peer ?? ''))]
  const works = [...new Set(measures.map(({ name }) => name))]
  const rows = works.map((work) => [
    work,
    ...peers.map((peer) => {
      const measure = measures.find((one) => one.name === work && one.peer === peer)
      if (!measure) return ''
      const { median, min, max, target } = measure
      return target ? `${number(median)} (${number(min)} – ${number(max)})` : number(median)
    }),
    measures
      .filter(({ name }) => name === work)
      .map(targetText)
      .join(''),
    measures
      .filter(({ name }) => name === work)
      .map(verdict)
      .join(''),
  ])
  return [['work', ...peers, 'target', 'verdict'], ...rows]
}

const placeOf = ({ machine, date }: Occasion): string =>
  `on ${date.slice(0, 10)}, ${machine.cores} cores (${machine.processor}), ${machine.memoryGiB} GiB, Node.js ${machine.node}, PostgreSQL ${machine.postgres}`

/** Which benches ran where and when, an occasion a line. */
const occasionList = ({ occasions, benches }: Results): string => {
  const names = Object.keys(benches)
  const places = new Map(names.flatMap((name) => (occasions[name] ? [[name, placeOf(occasions[name])]] : [])))
  return [...new Set(places.values())]
    .map((place) => `- ${place}: ${names.filter((name) => places.get(name) === place).join(', ')}`)
    .join('\n')
}

/** The page of the docs: results, and the notes that are written by hand. */
export const reportPage = (results: Results, notes: string): string =>
  `<!-- Made by \`npm run bench:report\` from bench/results/latest.json and bench/notes.md: edit those. -->

# Benchmarks

Both sides of a row run in one process, in turns, on the same servers with the same rows and the same entity class. The
median is over the rounds; the spread is the smallest and the largest round. Read ratios, not rates: the servers run on
the same machine as the program.

The files of \`bench/\` ran in full

${occasionList(results)}

${markdown(tableOf(alone(results.benches)))}

## Beside its peers

The same rows and the same work, as time ÷ that of plain TypeORM on one database: one round runs all of them in turns. Native partitions:
TypeORM over a table that PostgreSQL itself cuts into 16 partitions. pg alone: \`pg\` with prepared statements written by hand, on the
database of plain TypeORM. Naive scatter: a query a shard by \`pg\`, merged by hand, whose writes are not atomic. postgres_fdw: TypeORM over
a coordinator whose partitions are foreign tables on two nodes.

${markdown(peerTable(Object.values(results.benches).flat().filter(hasPeer)))}

${notes.trim()}
`
