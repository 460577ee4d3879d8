import { existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { installTestLibraries } from './install-test-libraries'
import { missingModule } from './missing-module'
import { transpileTests } from './transpile-tests'

const root = resolve(__dirname, '..', '..')

/** A folder inside the package, so that TypeORM's tests and this package find one and the same installed TypeORM. */
export interface WorkFolder {
  readonly path: string
  /** Test files that can run here, relative to the folder, in order. */
  readonly files: readonly string[]
  /** Test files that import what is not here (clients of other databases, TypeORM's own tools), with its name. */
  readonly leftOut: ReadonlyMap<string, string>
}

/**
 * Makes the folder `.typeorm-suite` from a checkout of TypeORM. It holds the tests as JavaScript, the libraries that the
 * tests use, and a link to the installed package in the place of TypeORM's sources, which the tests import as `../../src`.
 *
 * @throws Error if the folder is no checkout of TypeORM
 */
export function prepareWorkFolder(checkout: string): WorkFolder {
  const tests = join(checkout, 'test')
  if (!existsSync(join(tests, 'utils', 'test-utils.ts'))) throw new Error(`${checkout} is no checkout of TypeORM.`)
  const path = join(root, '.typeorm-suite')
  mkdirSync(path, { recursive: true })
  for (const part of ['src', 'temp']) rmSync(join(path, part), { recursive: true, force: true })
  installTestLibraries(checkout, path)
  writeFileSync(join(path, 'ormconfig.json'), '[{}]')
  symlinkSync(dirname(require.resolve('typeorm')), join(path, 'src'), 'dir')
  transpileTests(tests, join(path, 'test'))
  const files = readdirSync(join(path, 'test'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.test.js'))
    .map((file) => join('test', file))
    .sort()
  const leftOut = new Map(files.flatMap((file) => missingModule(join(path, file)).map((name) => [file, name] as const)))
  return Object.freeze({ path, files: Object.freeze(files.filter((file) => !leftOut.has(file))), leftOut })
}
