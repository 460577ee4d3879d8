import { transform } from '@swc/core'
import { defineConfig } from 'vitest/config'

/** esbuild and oxc write no types of decorated properties; SWC does. */
const swc = {
  name: 'swc',
  enforce: 'pre',
  transform: (code, file) =>
    file.endsWith('.ts')
      ? transform(code, {
          filename: file,
          sourceMaps: true,
          configFile: false,
          swcrc: false,
          jsc: {
            target: 'es2022',
            parser: { syntax: 'typescript', decorators: true },
            transform: { legacyDecorator: true, decoratorMetadata: true, useDefineForClassFields: false },
          },
        })
      : undefined,
}

export default defineConfig({ oxc: false, plugins: [swc], test: { globals: true, include: ['shop.spec.ts'] } })
