import { type Measure, meets } from './bench'

/** What a run leaves behind. */
export interface Results {
  readonly machine: {
    readonly cores: number
    readonly processor: string
    readonly memoryGiB: number
    readonly node: string
    readonly postgres: string
  }
  readonly date: string
  readonly scale: string
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
  measure.name,
  `${number(measure.median)} ${measure.unit}`,
  measure.rounds > 1 ? `${number(measure.min)} – ${number(measure.max)}` : '',
  measure.detail,
  targetText(measure),
  verdict(measure),
]

const heads = ['work', 'median', 'spread', 'ours and plain', 'target', '']

/** The measures for a terminal. */
export const textTable = (measures: readonly Measure[]): string => {
  const rows = [heads, ...measures.map(cells)]
  const widths = heads.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** The page of the docs: results, and the notes that are written by hand. */
export const reportPage = ({ machine, date, scale, benches }: Results, notes: string): string => {
  const rows = Object.values(benches)
    .flat()
    .map((measure) => `| ${cells(measure).join(' | ')} |`)
  return `<!-- Made by \`npm run bench:report\` from bench/results/latest.json and bench/notes.md: edit those. -->

# Benchmarks

Both sides of a row run in one process, in turns, on the same servers with the same rows and the same entity class. The
median is over the rounds; the spread is the smallest and the largest round. Read ratios, not rates: the servers run on
the same machine as the program.

Measured on ${date.slice(0, 10)}: ${machine.cores} cores (${machine.processor}), ${machine.memoryGiB} GiB, Node.js ${machine.node}, PostgreSQL ${machine.postgres}, scale \`${scale}\`.

| ${heads.join(' | ')} |
|${heads.map(() => '---').join('|')}|
${rows.join('\n')}

${notes.trim()}
`
}
