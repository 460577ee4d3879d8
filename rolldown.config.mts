import { defineConfig, type Plugin } from 'rolldown'

/**
 * A part that is loaded late is a function of what it shares with the others. It must not require that: after
 * `jest.resetModules()` it would get other modules, with classes of errors that are not those of the application.
 */
const latePart: Plugin = {
  name: 'late-part',
  renderChunk(code, { fileName, isDynamicEntry, dynamicImports }) {
    const replaced = (text: string, before: string, after: string): string => {
      if (text.split(before).length !== 2) this.error(`${fileName} does not have ${before} once.`)
      return text.replace(before, () => after)
    }
    if (isDynamicEntry) {
      const shared = 'const require_shared = require("./shared.js");'
      return `${replaced(code, shared, 'module.exports = (require_shared) => {const exports = {};')}\nreturn exports}`
    }
    return dynamicImports.reduce((text, name) => {
      const required = `require("./${name}")`
      return replaced(text, required, `${required}(require_shared)`)
    }, code)
  },
}

/** Node reads a file twice as fast, and V8 keeps it in half the memory, where all letters are ASCII. */
const ascii: Plugin = {
  name: 'ascii',
  generateBundle(_, bundle) {
    for (const file of Object.values(bundle))
      if (file.type === 'chunk') file.code = file.code.replace(/[^\0-\x7f]/g, (letter) => escaped(letter))
  },
}

const escaped = (unit: string): string => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`

/**
 * The sources as few files: to find and read the five hundred that they are takes longer than to run them. Dependencies
 * stay outside. The declarations are made by `tsc`, file by file.
 */
export default defineConfig({
  input: 'src/index.ts',
  platform: 'node',
  external: /^[^./]/,
  tsconfig: 'tsconfig.build.json',
  plugins: [latePart, ascii],
  // No line of the sources moves.
  checks: { sourcemapBroken: false },
  output: {
    dir: 'dist',
    format: 'cjs',
    esModule: true,
    strict: true,
    generatedCode: { symbols: false },
    chunkFileNames: '[name].js',
    codeSplitting: { groups: [{ name: 'shared', minShareCount: 2 }] },
    // Two functions of one name are told apart by a number, of which neither knows.
    keepNames: true,
    // The declarations have them.
    comments: { jsdoc: false },
    sourcemap: true,
  },
})
