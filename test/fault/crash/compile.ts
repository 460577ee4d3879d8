import { mkdirSync, mkdtempSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { transformFile } from '@swc/core'

const root = join(__dirname, '../../..')

/**
 * Compiles the sources and the program once, so that the many processes that are started to be killed need not: each is
 * up in half a second. @returns the path of the program
 */
export async function compileProgram(program: string): Promise<string> {
  const out = mkdtempSync(join(tmpdir(), 'crash-'))
  const files = [...filesIn('src'), ...filesIn('test/fault/crash'), 'test/differential/rng.ts']
  await Promise.all(
    files.map(async (file) => {
      const { code } = await transformFile(join(root, file), {
        swcrc: false,
        configFile: false,
        module: { type: 'commonjs' },
        jsc: {
          target: 'es2022',
          parser: { syntax: 'typescript', decorators: true },
          transform: { legacyDecorator: true, decoratorMetadata: true, useDefineForClassFields: false },
        },
      })
      const target = join(out, file.replace(/\.ts$/, '.js'))
      mkdirSync(dirname(target), { recursive: true })
      // An `import()` names a file with its extension.
      writeFileSync(target, code.replace(/(\("\.[^"]*)\.ts"\)/g, '$1.js")'))
    }),
  )
  symlinkSync(join(root, 'node_modules'), join(out, 'node_modules'))
  return join(out, relative(root, program).replace(/\.ts$/, '.js'))
}

const filesIn = (folder: string): readonly string[] =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
    .map((file) => join(folder, file))
