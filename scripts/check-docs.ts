/**
 * What the docs claim, holds: every `ts` block is type-checked against the built package and run against two real
 * PostgreSQL nodes (NODE_A_URL and NODE_B_URL, fresh for each program); the page of errors fits the catalogue.
 */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { startCluster } from '../test/support/cluster'
import { freshDatabases } from '../test/support/fresh-databases'
import { type DocsProgram, docsPrograms } from './docs-program'
import { errorReferenceProblems } from './error-reference'
import { sqlReferenceProblems } from './sql-reference'

const root = resolve(__dirname, '..')
// Inside the package, so that programs import it by its name, through its `exports`, as users do.
const folder = join(root, '.docs-check')
const deadlineMs = 60_000

const pages = (): readonly string[] => {
  const docs = existsSync(join(root, 'docs'))
    ? readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' }).map((page) => `docs/${page}`)
    : []
  return ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', ...docs.sort()].filter(
    (page) => page.endsWith('.md') && existsSync(join(root, page)),
  )
}

const compilerOptions = {
  noEmit: false,
  allowImportingTsExtensions: false,
  rootDir: '.',
  outDir: 'out',
  sourceMap: true,
  noUnusedLocals: false,
  noUnusedParameters: false,
  types: ['node'],
}

const environment = `declare namespace NodeJS {
  interface ProcessEnv {
    NODE_A_URL: string
    NODE_B_URL: string
  }
}
`

const writePrograms = (programs: readonly DocsProgram[]): void => {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder)
  const config = { extends: '../tsconfig.json', compilerOptions, include: ['*.mts', 'environment.d.ts'] }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config))
  writeFileSync(join(folder, 'environment.d.ts'), environment)
  for (const { name, source } of programs) writeFileSync(join(folder, `${name}.mts`), source)
}

const compile = (): readonly string[] => {
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  const { status, stdout } = spawnSync(process.execPath, [tsc, '-p', folder], { cwd: root, encoding: 'utf8' })
  return status === 0 ? [] : [stdout]
}

/** Runs a compiled program; it need not close what it opened. Gives what is wrong, `undefined` when it ended well. */
const run = (name: string, env: NodeJS.ProcessEnv): Promise<string | undefined> =>
  new Promise((done) => {
    const main = `import(${JSON.stringify(join(folder, 'out', `${name}.mjs`))}).then(() => process.exit(0))`
    const child = spawn(process.execPath, ['--enable-source-maps', '-e', main], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: deadlineMs,
      killSignal: 'SIGKILL',
    })
    let output = ''
    const keep = (chunk: Buffer): void => {
      output = `${output}${chunk}`.slice(-8000)
    }
    child.stdout.on('data', keep)
    child.stderr.on('data', keep)
    child.once('close', (code, signal) => {
      const end = signal === null ? `ended with ${code}` : `did not end within ${deadlineMs / 1000} s`
      done(code === 0 ? undefined : `${end}\n${output}`)
    })
  })

const runPrograms = async (programs: readonly DocsProgram[]): Promise<readonly string[]> => {
  if (programs.length === 0) return []
  const problems: string[] = []
  const clusters = await Promise.all(['docs-a', 'docs-b'].map((name) => startCluster({ name })))
  try {
    const admins = clusters.map((cluster) => cluster.url())
    for (const { name, place } of programs) {
      const databases = await freshDatabases(admins, 2)
      const [NODE_A_URL, NODE_B_URL] = databases.nodes
      const problem = await run(name, { NODE_A_URL, NODE_B_URL })
      console.log(`${problem === undefined ? 'ok    ' : 'failed'} ${place}`)
      if (problem !== undefined) problems.push(`${place} ${problem}`)
      await databases.drop()
    }
  } finally {
    await Promise.all(clusters.map((cluster) => cluster.stop()))
  }
  return problems
}

const main = async (): Promise<void> => {
  const reference = 'docs/reference/errors.md'
  const problems: string[] = errorReferenceProblems(readFileSync(join(root, reference), 'utf8')).map(
    (it) => `${reference}: ${it}`,
  )
  problems.push(...sqlReferenceProblems(readFileSync(join(root, 'docs/reference/sql.md'), 'utf8')))
  const programs = pages().flatMap((page) => docsPrograms(page, readFileSync(join(root, page), 'utf8')))
  writePrograms(programs)
  // tsc calls a project without files an error.
  const typeErrors = programs.length === 0 ? [] : compile()
  const running = programs.filter(({ runs }) => runs)
  problems.push(...typeErrors, ...(typeErrors.length === 0 ? await runPrograms(running) : []))
  for (const problem of problems) console.error(problem)
  console.log(
    `docs: ${pages().length} pages, ${programs.length} programs, ${running.length} run, ${problems.length} problems`,
  )
  process.exitCode = problems.length === 0 ? 0 : 1
}

void main()
