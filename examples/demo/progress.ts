import { Presets, SingleBar } from 'cli-progress'
import { count, line } from './screen'

export interface Progress {
  add(rows: number): void
  end(): void
}

/** A bar where somebody watches; a line at each quarter where the output goes to a file. */
export const startProgress = (label: string, total: number): Progress =>
  process.stdout.isTTY ? movingBar(label, total) : quarterLines(label, total)

const movingBar = (label: string, total: number): Progress => {
  const bar = new SingleBar(
    {
      format: `  ${label.padEnd(11)} {bar} {percentage}%  {rows}`,
      barsize: 36,
      stream: process.stdout,
      hideCursor: true,
      gracefulExit: false,
    },
    Presets.shades_classic,
  )
  let done = 0
  bar.start(total, 0, { rows: '' })
  return {
    add: (rows) => {
      done += rows
      bar.update(done, { rows: `${count(done)} rows` })
    },
    end: () => bar.stop(),
  }
}

const quarterLines = (label: string, total: number): Progress => {
  let done = 0
  let quarter = 0
  return {
    add: (rows) => {
      done += rows
      const reached = Math.floor((4 * done) / total)
      if (reached > quarter) line(`  ${label.padEnd(11)} ${String(reached * 25).padStart(3)}%  ${count(done)} rows`)
      quarter = reached
    },
    end: () => undefined,
  }
}
