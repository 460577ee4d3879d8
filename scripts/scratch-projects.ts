import { spawn } from 'node:child_process'
import { copyFileSync, cpSync, existsSync, mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { startCluster } from '../test/support/cluster'
import { freshDatabases } from '../test/support/fresh-databases'

const source = resolve(__dirname, '..', 'scratch-projects')
const deadlineMs = 120_000

interface Command {
  readonly command: string
  readonly args: readonly string[]
}

/** One way in which users compile, test or bundle an application with the package. */
interface ScratchProject {
  readonly name: string
  readonly steps: readonly Command[]
  /** Text that the last step has to print; without it, to exit with 0 is enough. */
  readonly prints?: RegExp
  readonly fails?: boolean
}

const node = (...args: readonly string[]): Command => ({ command: process.execPath, args })

/** The projects of a folder that `scratch-projects/` was copied to and the package installed in. */
const projectsOf = (folder: string): readonly ScratchProject[] => {
  const modules = join(folder, 'node_modules')
  const tsc = join(modules, 'typescript', 'bin', 'tsc')
  const esbuild = (...args: readonly string[]): Command => ({
    command: join(modules, 'esbuild', 'bin', 'esbuild'),
    // pg-native is an addon that pg asks for when it is used; the others are drivers of other databases.
    args: ['out/main.js', '--bundle', '--platform=node', ...args, ...optionalPackages.map((it) => `--external:${it}`)],
  })
  const jest = (config: string) => node(join(modules, 'jest', 'bin', 'jest.js'), '--config', config)
  const node22 = join(modules, 'node-22-linux-x64', 'bin', 'node')
  const has22 = existsSync(node22)
  if (!has22) console.log('left out: Node 22, whose binary is installed on Linux x64 only')
  return [
    { name: 'TypeScript 5.9, strict, without skipLibCheck', steps: [node(tsc, '-p', 'tsconfig.json')] },
    {
      name: 'TypeScript 7, strict, without skipLibCheck',
      steps: [node(join(modules, 'typescript-7', 'bin', 'tsc'), '-p', 'tsconfig.json', '--outDir', 'out-7')],
    },
    { name: `require, Node ${process.versions.node}`, steps: [node('out/main.js')], prints: /^ok$/m },
    { name: `import, Node ${process.versions.node}`, steps: [node('main.mjs')], prints: /^ok$/m },
    ...(has22
      ? [
          { name: 'require, Node 22', steps: [{ command: node22, args: ['out/main.js'] }], prints: /^ok$/m },
          { name: 'import, Node 22', steps: [{ command: node22, args: ['main.mjs'] }], prints: /^ok$/m },
        ]
      : []),
    { name: 'Jest with ts-jest', steps: [jest('jest-ts.config.js')] },
    { name: 'Jest with SWC', steps: [jest('jest-swc.config.js')] },
    { name: 'vitest', steps: [node(join(modules, 'vitest', 'vitest.mjs'), 'run')] },
    { name: 'Nest', steps: [node(tsc, '-p', 'tsconfig.nest.json'), node('out/nest.js')], prints: /^ok$/m },
    {
      name: 'esbuild, libpg-query external',
      steps: [esbuild('--external:libpg-query', '--outfile=out/external.js'), node('out/external.js')],
      prints: /^ok$/m,
    },
    {
      name: 'esbuild, without the parser’s file',
      steps: [esbuild('--outfile=bundle-alone/main.js'), node('bundle-alone/main.js')],
      prints: /PARSER_UNAVAILABLE/,
      fails: true,
    },
    {
      name: 'esbuild, the parser’s file beside the bundle',
      steps: [esbuild('--outfile=bundle/main.js'), node('bundle/main.js')],
      prints: /^ok$/m,
    },
    {
      name: 'webpack, the parser’s file beside the bundle',
      steps: [node('webpack.mjs'), node('webpacked/main.js')],
      prints: /^ok$/m,
    },
  ]
}

/** What TypeORM and pg load only where it is installed. */
const optionalPackages: readonly string[] = require('../scratch-projects/optional-packages.json')

/** Copies the sources of the projects into a folder, ready for `npm ci`. */
export const copyScratchProjects = (folder: string): void => {
  cpSync(source, folder, { recursive: true, filter: (path) => !path.includes('node_modules') })
}

/** Runs all projects of a folder, each on two empty databases, and tells what is wrong. */
export const runScratchProjects = async (folder: string): Promise<readonly string[]> => {
  for (const bundle of ['bundle', 'webpacked']) {
    mkdirSync(join(folder, bundle), { recursive: true })
    const wasm = join(folder, 'node_modules/libpg-query/wasm/libpg-query.wasm')
    copyFileSync(wasm, join(folder, bundle, 'libpg-query.wasm'))
  }
  const clusters = await Promise.all(['pack-a', 'pack-b'].map((name) => startCluster({ name })))
  const problems: string[] = []
  try {
    for (const project of projectsOf(folder)) {
      const databases = await freshDatabases(
        clusters.map((cluster) => cluster.url()),
        2,
      )
      const [NODE_A_URL, NODE_B_URL] = databases.nodes
      const problem = await runProject(project, folder, { NODE_A_URL, NODE_B_URL })
      console.log(`${problem === undefined ? 'ok    ' : 'failed'} ${project.name}`)
      if (problem !== undefined) problems.push(`${project.name}:\n${problem}`)
      await databases.drop()
    }
  } finally {
    await Promise.all(clusters.map((cluster) => cluster.stop()))
  }
  return problems
}

const runProject = async (
  { steps, prints, fails = false }: ScratchProject,
  folder: string,
  env: NodeJS.ProcessEnv,
): Promise<string | undefined> => {
  for (const [index, step] of steps.entries()) {
    const isLast = index === steps.length - 1
    const { code, output } = await run(step, folder, env)
    if ((code === 0) === (isLast && fails)) return `ended with ${code}\n${output}`
    if (isLast && prints && !prints.test(output)) return `printed no ${prints}\n${output}`
  }
  return undefined
}

const run = ({ command, args }: Command, cwd: string, env: NodeJS.ProcessEnv) =>
  new Promise<{ readonly code: number | null; readonly output: string }>((done, reject) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env, CI: 'true' },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: deadlineMs,
      killSignal: 'SIGKILL',
    })
    let output = ''
    const keep = (chunk: Buffer): void => {
      output = `${output}${chunk}`.slice(-8_000)
    }
    child.stdout.on('data', keep)
    child.stderr.on('data', keep)
    child.once('error', reject)
    child.once('close', (code) => done({ code, output }))
  })
