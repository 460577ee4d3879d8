import { createRequire } from 'node:module'
import path from 'node:path'
import webpack from 'webpack'

const optional = createRequire(import.meta.url)('./optional-packages.json')
const folder = import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname)

const compiler = webpack({
  mode: 'production',
  target: 'node',
  entry: path.join(folder, 'out', 'main.js'),
  output: { path: path.join(folder, 'webpacked'), filename: 'main.js' },
  optimization: { minimize: false },
  externals: Object.fromEntries(optional.map((name) => [name, `commonjs ${name}`])),
  // Where __dirname stands for the folder of the bundle, which holds the parser's file too.
  node: { __dirname: false },
})

compiler.run((error, stats) => {
  if (error || stats?.hasErrors()) {
    console.error(error ?? stats.toString({ all: false, errors: true }))
    process.exitCode = 1
  }
  compiler.close(() => undefined)
})
