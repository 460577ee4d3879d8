import swc from 'unplugin-swc'
import { defineConfig, type TestProjectInlineConfiguration } from 'vitest/config'

// Files that leave nothing behind in a process share one: to import everything anew takes most of them longer than to test it.
const unit = 'test/unit/**/*.test.ts'
// These break things on purpose, or change what a process has only one of (parsers of pg, prototypes, modules that are mocked).
const alone = ['test/{fault,differential,types}/**/*.test.ts', 'test/**/*.alone.test.ts']
const compile: TestProjectInlineConfiguration = {
  // esbuild and oxc drop the types of decorated properties, which TypeORM reads: SWC writes them.
  oxc: false,
  plugins: [
    swc.vite({
      swcrc: false,
      configFile: false,
      tsconfigFile: false,
      jsc: {
        target: 'es2022',
        parser: { syntax: 'typescript', decorators: true },
        transform: { legacyDecorator: true, decoratorMetadata: true, useDefineForClassFields: false },
      },
    }),
  ],
}

/** Projects do not extend what is below: each would start servers of its own. */
const project = (name: string, test: TestProjectInlineConfiguration['test']): TestProjectInlineConfiguration => ({
  ...compile,
  test: { name, pool: 'forks', testTimeout: 20_000, hookTimeout: 60_000, ...test },
})

export default defineConfig({
  test: {
    globalSetup: ['test/support/global-setup.ts'],
    // One more than the cores of the smallest machine: tests of faults mostly wait.
    maxWorkers: 3,
    teardownTimeout: 20_000,
    projects: [
      project('unit', { include: [unit], isolate: false }),
      project('shared', { include: ['test/**/*.test.ts'], exclude: [unit, ...alone], isolate: false }),
      project('alone', { include: alone }),
    ],
  },
})
