import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

const known = new Map<string, readonly string[]>()

/**
 * The first module that a file of the tests imports, itself or by another file of the tests, and that cannot be found: an
 * empty list if all are there. One such file would end the process that is to run sixty.
 */
export function missingModule(file: string): readonly string[] {
  const before = known.get(file)
  if (before) return before
  // Files may import each other in a circle.
  known.set(file, [])
  const missing = importsOf(file)
    .flatMap((name) => missingImport(file, name))
    .slice(0, 1)
  known.set(file, missing)
  return missing
}

const importsOf = (file: string): readonly string[] =>
  [...readFileSync(file, 'utf8').matchAll(/\brequire\("([^"]+)"\)/g)].flatMap(([, name]) => name ?? [])

function missingImport(file: string, name: string): readonly string[] {
  try {
    const found = createRequire(file).resolve(name)
    const isTest = found.includes('.typeorm-suite/test/') && found.endsWith('.js')
    return isTest ? missingModule(found) : []
  } catch {
    return [name]
  }
}
