/**
 * What users get from the registry: packs the package, looks at the list of files, lets publint and attw judge it, and uses the
 * tarball in the projects of `scratch-projects/`: type checks, import and require, Jest, vitest, Nest, bundles.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, normalize, resolve } from 'node:path'
import { copyScratchProjects, runScratchProjects } from './scratch-projects'

const root = resolve(__dirname, '..')
const folder = mkdtempSync(join(tmpdir(), 'pack-check-'))
const allowed =
  /^(package\.json|README\.md|ARCHITECTURE\.md|CONTRIBUTING\.md|LICENSE|docs\/.+\.md|dist\/.+\.(js|js\.map|d\.ts))$/
const required = ['package.json', 'README.md', 'LICENSE', 'dist/index.js', 'dist/index.d.ts']

interface Packed {
  readonly filename: string
  readonly files: readonly { readonly path: string }[]
}

const run = (command: string, args: readonly string[], cwd: string): string =>
  execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })

const tool = (name: string): string => join(root, 'node_modules', '.bin', name)

const pack = (): Packed => {
  // `prepack` builds, and its lines go before the JSON. `--built`: that was done.
  const scripts = process.argv.includes('--built') ? ['--ignore-scripts'] : []
  const output = run('npm', ['pack', '--json', '--pack-destination', folder, ...scripts], root)
  const [packed]: Packed[] = JSON.parse(output.slice(output.search(/^\[$/m)))
  if (packed === undefined) throw new Error('npm pack told of no package.')
  return packed
}

const checkFiles = (packed: Packed): void => {
  const paths = packed.files.map(({ path }) => path)
  const stray = paths.filter((path) => !allowed.test(path))
  const missing = required.filter((path) => !paths.includes(path))
  if (stray.length > 0) throw new Error(`The package holds files that users do not need: ${stray.join(', ')}`)
  if (missing.length > 0) throw new Error(`The package lacks ${missing.join(', ')}`)
  for (const page of paths.filter((path) => path.endsWith('.md'))) checkLinks(page, paths)
  console.log(`files: ${paths.length}, nothing but the build and the docs, whose links lead to files of the package`)
}

/** A relative link of a page must lead to a file, or to a folder with files, that users have too. */
const checkLinks = (page: string, paths: readonly string[]): void => {
  for (const [, link = ''] of readFileSync(join(root, page), 'utf8').matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)) {
    const target = normalize(join(dirname(page), link)).replace(/\/$/, '')
    if (!paths.some((path) => path === target || path.startsWith(`${target}/`)))
      throw new Error(`${page} links to ${link}, which is not in the package`)
  }
}

/** The tarball as npm would lay it out; everything it depends on comes from this checkout, so nothing is downloaded. */
const scratchProject = (tarball: string, type: 'module' | 'commonjs'): string => {
  const project = join(folder, type)
  const installed = join(project, 'node_modules', 'typeorm-sharded')
  mkdirSync(installed, { recursive: true })
  run('tar', ['-xzf', tarball, '-C', installed, '--strip-components=1'], project)
  const { dependencies, peerDependencies } = require(join(installed, 'package.json'))
  for (const name of Object.keys({ ...dependencies, ...peerDependencies })) {
    mkdirSync(join(project, 'node_modules', name, '..'), { recursive: true })
    symlinkSync(join(root, 'node_modules', name), join(project, 'node_modules', name))
  }
  writeFileSync(join(project, 'package.json'), JSON.stringify({ name: 'scratch', private: true, type }))
  return project
}

const assertError = `
const error = new ShardedError('KEY_MISSING', 'No key.')
assert(error instanceof ShardedError && error.code === 'KEY_MISSING' && errorCatalogue.KEY_MISSING.fix.length > 0)
`

const programs = {
  module: `
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import * as imported from 'typeorm-sharded'
import { errorCatalogue, ShardedError } from 'typeorm-sharded'
${assertError}
const required = createRequire(import.meta.url)('typeorm-sharded')
const names = Object.keys(required)
assert(names.length > 0)
for (const name of names) assert.equal(imported[name], required[name], name)
console.log('import: ' + names.length + ' names, the same objects as by require')
`,
  commonjs: `
const assert = require('node:assert/strict')
const required = require('typeorm-sharded')
const { errorCatalogue, ShardedError } = required
${assertError}
const files = Object.keys(require.cache)
for (const name of ['libpg-query', 'pgsql-deparser', 'pg-copy-streams', 'xxhash-wasm'])
  assert(!files.some((file) => file.includes('/node_modules/' + name + '/')), name + ' is loaded before it is used')
assert(!files.some((file) => file.endsWith('/dist/statement-engine.js')), 'The engine is loaded before it is used')
import('typeorm-sharded').then((imported) => {
  for (const name of Object.keys(required)) assert.equal(imported[name], required[name], name)
  console.log('require: ' + Object.keys(required).length + ' names, the same objects as by import()')
})
`,
}

/** Installs the projects from their lock file, and the tarball with what it depends on beside them. */
const useInProjects = async (tarball: string): Promise<void> => {
  const projects = join(folder, 'projects')
  copyScratchProjects(projects)
  run('npm', ['ci', '--no-audit', '--no-fund', '--prefer-offline'], projects)
  run('npm', ['install', '--no-save', '--no-audit', '--no-fund', '--prefer-offline', tarball], projects)
  const problems = await runScratchProjects(projects)
  if (problems.length > 0) throw new Error(problems.join('\n'))
}

const main = async (): Promise<void> => {
  const packed = pack()
  checkFiles(packed)
  const tarball = join(folder, packed.filename)
  for (const type of ['module', 'commonjs'] as const) {
    const project = scratchProject(tarball, type)
    writeFileSync(join(project, 'main.js'), programs[type])
    process.stdout.write(run(process.execPath, ['main.js'], project))
  }
  process.stdout.write(run(tool('publint'), ['run', tarball, '--strict'], root))
  process.stdout.write(run(tool('attw'), [tarball, '--profile', 'node16'], root))
  await useInProjects(tarball)
}

void main()
  .catch((error: unknown) => {
    console.error(error)
    process.exitCode = 1
  })
  .finally(() => rmSync(folder, { recursive: true, force: true }))
