import type { NodeReport, ShardReport, TopologyReport } from './topology-report'

/** Letters of the longest bar. */
const barLetters = 24

/** Lines of shards and keys that are shown; what is left out is counted. */
const maxShards = 64
const maxKeys = 10

/**
 * A report as a picture for a terminal: a bar for each node and shard, of its bytes. A mark in the bar of a node is what is due to it.
 *
 * @example
 * console.log(formatReport(await dataSource.topology.report()))
 */
export function formatReport(report: TopologyReport): string {
  const { nodes, shards, skew, epoch, isExact } = report
  const total = nodes.reduce((sum, { bytes }) => sum + bytes, 0)
  const load = skew.load === undefined ? '' : `, load ${ratio(skew.load)}`
  const shown = [...shards].sort((a, b) => b.bytes - a.bytes).slice(0, maxShards)
  const most = shown[0]?.bytes ?? 0
  return [
    `epoch ${epoch}, ${nodes.length} nodes, ${shards.length} shards, ${rowsOf(report, isExact)}, ${bytesText(total)}`,
    `skew of the nodes (1 is even): shards ${ratio(skew.shards)}, rows ${ratio(skew.rows)}, bytes ${ratio(skew.bytes)}${load}`,
    '',
    ...table(nodes.map((node) => nodeLine(node, total))),
    '',
    ...table(shown.map((shard) => shardLine(shard, most))),
    ...(shards.length > shown.length ? [`… and ${shards.length - shown.length} smaller shards`] : []),
    ...keyLines(report),
  ].join('\n')
}

const rowsOf = ({ nodes }: TopologyReport, isExact: boolean): string => {
  const rows = nodes.reduce((sum, node) => sum + node.rows, 0)
  return `${isExact ? '' : 'about '}${count(rows)} rows`
}

type Line = readonly string[]

function nodeLine({ name, isHome, weight, share, shards, rows, bytes, load }: NodeReport, total: number): Line {
  const part = total === 0 ? 0 : bytes / total
  return [
    `${name}${isHome ? ' (home)' : ''}`,
    bar(part, share),
    `${percent(part)} of ${percent(share)} (weight ${weight})`,
    `${shards} shards`,
    `${count(rows)} rows`,
    bytesText(bytes),
    loadText(load),
  ]
}

const shardLine = ({ name, node, rows, bytes, load }: ShardReport, most: number): Line => [
  name,
  bar(most === 0 ? 0 : bytes / most),
  node,
  `${count(rows)} rows`,
  bytesText(bytes),
  loadText(load),
]

function keyLines({ hotKeys }: TopologyReport): readonly string[] {
  if (hotKeys.length === 0) return []
  const keys = [...hotKeys].sort((a, b) => b.atLeast - a.atLeast).slice(0, maxKeys)
  const lines = keys.map(({ group, key, shard = 'no shard', atLeast, atMost }) => [
    `${group} ${key.join(', ')}`,
    shard,
    atLeast === atMost ? `${count(atLeast)} times` : `${count(atLeast)} to ${count(atMost)} times`,
  ])
  return ['', 'shard keys that this process named most often:', ...table(lines)]
}

/** Cells under each other. */
function table(lines: readonly Line[]): readonly string[] {
  const widths = lines[0]?.map((_, cell) => Math.max(...lines.map((line) => line[cell]?.length ?? 0))) ?? []
  return lines.map((line) =>
    line
      .map((text, cell) => text.padEnd(widths[cell] ?? 0))
      .join('  ')
      .trimEnd(),
  )
}

function bar(part: number, due?: number): string {
  const filled = Math.round(Math.min(part, 1) * barLetters)
  const mark = due === undefined ? -1 : Math.min(Math.round(due * barLetters), barLetters) - 1
  return Array.from({ length: barLetters }, (_, place) => {
    if (place === mark) return place < filled ? '┃' : '│'
    return place < filled ? '█' : '░'
  }).join('')
}

const loadText = (load: ShardReport['load']): string =>
  load ? `${count(load.statements)} statements, ${count(Math.round(load.milliseconds))} ms` : ''

const ratio = (value: number): string => (Number.isFinite(value) ? value.toFixed(2) : '∞')

const percent = (part: number): string => `${Math.round(part * 100)} %`

const count = (value: number): string => value.toLocaleString('en-US')

const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'] as const

/** Powers of 1,024, as `pg_size_pretty` has them. */
export function bytesText(bytes: number): string {
  const power = bytes < 1 ? 0 : Math.min(Math.floor(Math.log2(bytes) / 10), units.length - 1)
  const value = bytes / 1024 ** power
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[power]}`
}
