/**
 * What users get from the registry: packs the package, looks at the list of files, installs the tarball into scratch
 * projects (import, require, both at once), and lets publint and attw judge it.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

const root = resolve(__dirname, '..')
const folder = mkdtempSync(join(tmpdir(), 'pack-check-'))
const allowed = /^(package\.json|README\.md|LICENSE|dist\/.+\.(js|js\.map|d\.ts))$/
const required = ['package.json', 'README.md', 'LICENSE', 'dist/index.js', 'dist/index.d.ts']

interface Packed {
  readonly filename: string
  readonly files: readonly { readonly path: string }[]
}

const run = (command: string, args: readonly string[], cwd: string): string =>
  execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })

const tool = (name: string): string => join(root, 'node_modules', '.bin', name)

const pack = (): Packed => {
  // `prepack` builds, and its lines go before the JSON.
  const output = run('npm', ['pack', '--json', '--pack-destination', folder], root)
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
  console.log(`files: ${paths.length}, nothing but the build`)
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
import('typeorm-sharded').then((imported) => {
  for (const name of Object.keys(required)) assert.equal(imported[name], required[name], name)
  console.log('require: ' + Object.keys(required).length + ' names, the same objects as by import()')
})
`,
}

const main = (): void => {
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
}

try {
  main()
} finally {
  rmSync(folder, { recursive: true, force: true })
}
