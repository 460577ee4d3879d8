/** A reporter of mocha that writes every test's outcome to the file of its option `output`, one JSON object a line. */
const { openSync, writeSync } = require('node:fs')
const { relative } = require('node:path')

module.exports = class JsonReporter {
  constructor(runner, options) {
    const file = openSync(options.reporterOptions.output, 'a')
    const write = (line) => writeSync(file, `${JSON.stringify(line)}\n`)
    const place = (test) => ({ file: relative(process.cwd(), test.file ?? ''), title: test.fullTitle() })
    runner.once('start', () => runner.suite.eachTest((test) => write({ ...place(test), state: 'planned' })))
    runner.once('end', () => write({ state: 'ended' }))
    runner.on('pass', (test) => write({ ...place(test), state: 'passed', ms: test.duration }))
    runner.on('pending', (test) => write({ ...place(test), state: 'skipped' }))
    runner.on('fail', (test, error) => {
      const { name, message, code, stack } = error
      const state = test.type === 'hook' ? 'hook failed' : 'failed'
      write({ ...place(test), state, error: { name, message, code, stack } })
    })
  }
}
