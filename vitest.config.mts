import swc from 'unplugin-swc'
import { defineConfig } from 'vitest/config'

const unit = 'test/unit/**/*.test.ts'
const ofProjects = { globalSetup: [], testTimeout: 20_000, hookTimeout: 60_000 }

export default defineConfig({
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
  test: {
    globalSetup: ['test/support/global-setup.ts'],
    pool: 'forks',
    maxWorkers: 2,
    teardownTimeout: 20_000,
    // The servers are started once, for both.
    projects: [
      // Importing anew takes most of these longer than what they test, and they leave nothing behind in a process.
      { extends: true, test: { ...ofProjects, name: 'unit', include: [unit], isolate: false } },
      { extends: true, test: { ...ofProjects, name: 'servers', include: ['test/**/*.test.ts'], exclude: [unit] } },
    ],
  },
})
