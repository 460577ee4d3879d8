import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** What TypeORM's tests import besides TypeORM and its own dependencies. Clients of other databases are not among them. */
const libraries = [
  'chai',
  'chai-as-promised',
  'class-transformer',
  'mocha',
  'mongodb',
  'sinon',
  'sinon-chai',
  'source-map-support',
]

/** Installs the libraries of TypeORM's tests into a folder, in the versions that the checkout asks for. */
export function installTestLibraries(checkout: string, folder: string): void {
  const { devDependencies = {} } = readManifest(checkout)
  const wanted = Object.fromEntries(libraries.map((name) => [name, devDependencies[name] ?? '*']))
  const manifest = JSON.stringify({ private: true, type: 'commonjs', dependencies: wanted }, undefined, 2)
  const file = join(folder, 'package.json')
  if (existsSync(file) && readFileSync(file, 'utf8') === manifest && existsSync(join(folder, 'node_modules'))) return
  writeFileSync(file, manifest)
  const { status } = spawnSync('npm', ['install', '--no-audit', '--no-fund', '--ignore-scripts', '--no-package-lock'], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  if (status !== 0) throw new Error(`The libraries of TypeORM's tests could not be installed in ${folder}.`)
}

function readManifest(folder: string): { readonly devDependencies?: Readonly<Record<string, string>> } {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
}
