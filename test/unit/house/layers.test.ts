import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const root = join(__dirname, '..', '..', '..')

interface Report {
  readonly summary: {
    readonly violations: readonly { readonly from: string; readonly rule: { readonly name: string } }[]
  }
}

/** One file that breaks a rule, or keeps it where `rule` is undefined. */
interface Case {
  readonly what: string
  readonly file: string
  readonly source: string
  readonly rule: string | undefined
}

const cases: readonly Case[] = [
  {
    what: 'an import of a layer above',
    file: 'src/merging/upward.ts',
    source: "import { route } from '../routing/route'\nexport const upward = route\n",
    rule: 'layer-of-merging',
  },
  {
    what: 'a type of a layer above',
    file: 'src/errors/upward-type.ts',
    source: "import type { Route } from '../routing/route'\nexport type UpwardType = Route\n",
    rule: 'layer-of-errors',
  },
  {
    what: 'an import of a sibling in the same layer',
    file: 'src/model/sideways.ts',
    source: "import { shard } from '../topology/shard'\nexport const sideways = shard\n",
    rule: 'layer-of-model',
  },
  {
    what: 'TypeORM in routing/',
    file: 'src/routing/uses-typeorm.ts',
    source: "import { In } from 'typeorm'\nexport const usesTypeorm = In\n",
    rule: 'typeorm-below-its-layer',
  },
  {
    what: 'a type of TypeORM, from deep inside it, in planning/',
    file: 'src/planning/uses-typeorm-type.ts',
    source:
      "import type { PostgresQueryRunner } from 'typeorm/driver/postgres/PostgresQueryRunner.js'\nexport type Runner = PostgresQueryRunner\n",
    rule: 'typeorm-below-its-layer',
  },
  {
    what: 'the control plane in the request path',
    file: 'src/typeorm/facade/uses-migrations.ts',
    source: "import { migrate } from '../../migrations/migrate'\nexport const usesMigrations = migrate\n",
    rule: 'layer-of-typeorm',
  },
  {
    what: 'an entry point in the control plane',
    file: 'src/rebalancing/uses-cli.ts',
    source: "import { main } from '../cli/main'\nexport const usesCli = main\n",
    rule: 'layer-of-rebalancing',
  },
  {
    what: 'TypeORM in rebalancing/',
    file: 'src/rebalancing/uses-typeorm.ts',
    source: "import { In } from 'typeorm'\nexport const usesTypeorm = In\n",
    rule: 'typeorm-below-its-layer',
  },
  {
    what: 'a move of a shard in a request path',
    file: 'src/typeorm/operations/uses-moves.ts',
    source: "import { move } from '../../rebalancing/move'\nexport const usesMoves = move\n",
    rule: 'moves-in-a-request-path',
  },
  {
    what: 'a move of a shard in the façade',
    file: 'src/typeorm/facade/hands-out-moves.ts',
    source: "import { move } from '../../rebalancing/move'\nexport const handsOutMoves = move\n",
    rule: undefined,
  },
  {
    what: 'a connection opened in typeorm/',
    file: 'src/typeorm/reads/uses-pg.ts',
    source: "import { Pool } from 'pg'\nexport const usesPg = Pool\n",
    rule: 'pg-outside-endpoints',
  },
  {
    what: 'a connection opened in transactions/',
    file: 'src/transactions/uses-pg.ts',
    source: "import { Pool } from 'pg'\nexport const usesPg = Pool\n",
    rule: 'pg-outside-endpoints',
  },
  {
    what: 'a circle inside one folder',
    file: 'src/model/circle-one.ts',
    source: "import { two } from './circle-two'\nexport const one = (): unknown => two\n",
    rule: 'no-circular',
  },
  {
    what: 'a folder that has no layer',
    file: 'src/utils/anything.ts',
    source: "import { shard } from '../topology/shard'\nexport const anything = shard\n",
    rule: 'folder-without-layer',
  },
  {
    what: 'a room of typeorm/ that imports a room above it',
    file: 'src/typeorm/find/uses-reads.ts',
    source: "import { allowed } from '../reads/allowed'\nexport const usesReads = allowed\n",
    rule: 'room-of-find',
  },
  {
    what: 'a file of typeorm/ that stands in no room',
    file: 'src/typeorm/homeless.ts',
    source: "import { route } from '../routing/route'\nexport const homeless = route\n",
    rule: 'file-without-room',
  },
  {
    what: 'a development dependency',
    file: 'src/topology/uses-dev.ts',
    source: "import fc from 'fast-check'\nexport const usesDev = fc\n",
    rule: 'dev-dependency-in-src',
  },
  {
    what: 'imports that go down the table',
    file: 'src/routing/route.ts',
    source: "import { shard } from '../topology/shard'\nexport type Route = typeof shard\nexport const route = shard\n",
    rule: undefined,
  },
  {
    what: 'TypeORM in typeorm/, and a layer below',
    file: 'src/typeorm/reads/allowed.ts',
    source:
      "import { In } from 'typeorm'\nimport { route } from '../../routing/route'\nexport const allowed = [In, route]\n",
    rule: undefined,
  },
  {
    what: 'everything in the root',
    file: 'src/index.ts',
    source: "export { allowed } from './typeorm/reads/allowed'\nexport { main } from './cli/main'\n",
    rule: undefined,
  },
]

const neighbours: Readonly<Record<string, string>> = {
  'src/topology/shard.ts': 'export const shard = 1\n',
  'src/model/circle-two.ts': "import { one } from './circle-one'\nexport const two = (): unknown => one\n",
  'src/migrations/migrate.ts': 'export const migrate = 1\n',
  'src/rebalancing/move.ts': 'export const move = 1\n',
  'src/cli/main.ts': 'export const main = 1\n',
}

/** The real tool with the real rules, on a tree that breaks each of them once. */
const cruise = (folder: string): Promise<Report> =>
  new Promise((resolve, reject) => {
    const args = [
      join(root, 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs'),
      '--output-type',
      'json',
      'src',
    ]
    execFile(process.execPath, args, { cwd: folder, maxBuffer: 1 << 26 }, (error, stdout) =>
      stdout === '' ? reject(error) : resolve(JSON.parse(stdout)),
    )
  })

describe('the rules of the layers', () => {
  let folder: string
  let report: Report

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'layers-'))
    for (const name of ['node_modules', 'package.json', 'tsconfig.json', '.dependency-cruiser.cjs']) {
      await symlink(join(root, name), join(folder, name))
    }
    const files = { ...neighbours, ...Object.fromEntries(cases.map(({ file, source }) => [file, source])) }
    for (const [file, source] of Object.entries(files)) {
      await mkdir(dirname(join(folder, file)), { recursive: true })
      await writeFile(join(folder, file), source)
    }
    report = await cruise(folder)
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  it.each(cases)('$what: $rule', ({ file, rule }) => {
    const broken = report.summary.violations.filter(({ from }) => from === file).map((violation) => violation.rule.name)
    expect([...new Set(broken)]).toEqual(rule === undefined ? [] : [rule])
  })
})
