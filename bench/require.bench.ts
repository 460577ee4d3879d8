import { execFile } from 'node:child_process'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import type { Bench } from './support/bench'
import { medianOf, spreadOf } from './support/statistics'

const sizes = { full: 21, quick: 7, tiny: 1 }

const root = resolve(__dirname, '..')
/** Below the folder of the dependencies, which the built package looks for from where it is. */
const built = join(root, 'node_modules', '.cache', 'bench-require')

const run = promisify(execFile)

/** Prints the milliseconds of TypeORM and of ours; pg, which ours needs, is no part of either. */
const program = `
const time = (name) => {
  const started = performance.now()
  require(name)
  return performance.now() - started
}
require('reflect-metadata')
const plain = time('typeorm')
require('pg')
console.log(JSON.stringify({ plain, ours: time(${JSON.stringify(built)}) }))
`

/** `require` of the built package, beyond TypeORM and pg, in processes of its own. */
export const requireBench: Bench = {
  name: 'require',
  async run({ scale }) {
    await run(process.execPath, [join(root, 'node_modules/rolldown/bin/cli.mjs'), '--config', '--dir', built], {
      cwd: root,
    })
    const times: { readonly plain: number; readonly ours: number }[] = []
    for (let round = 0; round < sizes[scale]; round++) {
      const { stdout } = await run(process.execPath, ['-e', program], { cwd: root })
      times.push(JSON.parse(stdout))
    }
    return [
      {
        name: 'require, beyond TypeORM and pg',
        unit: '× time',
        ...spreadOf(times.map(({ ours, plain }) => ours / plain)),
        detail: `${medianOf(times.map(({ ours }) => ours)).toFixed(1)} ms ÷ ${medianOf(times.map(({ plain }) => plain)).toFixed(1)} ms`,
        target: { atMost: 0.3 },
      },
    ]
  },
}
