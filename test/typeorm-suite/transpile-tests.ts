import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import ts from 'typescript'

/**
 * As TypeORM compiles its tests. TypeScript reads a decorated property's type through `typeof`, so that entities may import each
 * other in a circle; SWC reads the class itself, which is not yet initialised then.
 */
const compilerOptions: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.CommonJS,
  esModuleInterop: true,
  experimentalDecorators: true,
  emitDecoratorMetadata: true,
  useDefineForClassFields: false,
  inlineSourceMap: true,
}

const utilities = join('utils', 'test-utils.ts')
/** The one place where TypeORM's tests make their data sources. */
const madeHere = 'return new DataSource(options)'
/** The run's way to make a data source, which `set-up-run.ts` sets; plain runs have none. */
const madeByRun = `return globalThis.createDataSourceOfRun?.(options) ?? new DataSource(options)`

/**
 * Writes the folder `from` of TypeScript as JavaScript to `to`; all other files as they are.
 *
 * @throws Error if TypeORM makes its data sources elsewhere now
 */
export function transpileTests(from: string, to: string): void {
  const written = new Set<string>()
  for (const file of readdirSync(from, { recursive: true, withFileTypes: true })) {
    if (!file.isFile()) continue
    const source = join(file.parentPath, file.name)
    const name = source.slice(from.length + 1)
    const target = join(to, name.replace(/\.ts$/, '.js'))
    written.add(target)
    mkdirSync(dirname(target), { recursive: true })
    if (existsSync(target) && statSync(target).mtimeMs > statSync(source).mtimeMs) continue
    if (!name.endsWith('.ts')) cpSync(source, target)
    else if (!name.endsWith('.d.ts')) writeFileSync(target, transpile(source, name))
  }
  // What an earlier checkout had.
  for (const file of readdirSync(to, { recursive: true, withFileTypes: true })) {
    const path = join(file.parentPath, file.name)
    if (file.isFile() && !written.has(path)) rmSync(path)
  }
}

function transpile(file: string, name: string): string {
  const source = readFileSync(file, 'utf8')
  if (name === utilities && source.split(madeHere).length !== 2)
    throw new Error(
      `${file} does not say "${madeHere}" once: look how TypeORM makes the data sources of its tests now.`,
    )
  const text = name === utilities ? source.replace(madeHere, madeByRun) : source
  return ts.transpileModule(text, { compilerOptions, fileName: file }).outputText
}
