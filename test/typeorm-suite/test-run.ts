/** What became of one test. */
export interface Outcome {
  readonly state: 'passed' | 'failed' | 'skipped' | 'not run'
  /** Why it failed: the error of the test, or of the hook before it. */
  readonly error?: TestError
}

export interface TestError {
  readonly name: string
  readonly message: string
  readonly code?: string
  readonly stack?: string
}

/** The outcomes of a run by test: its file and full title, and a number where a file has the title twice. */
export interface TestRun {
  readonly outcomes: ReadonlyMap<string, Outcome>
  /** Whether the process ended before its tests did. */
  readonly isCut: boolean
  /** The end of what the process wrote. */
  readonly log: string
}

interface Line {
  readonly file: string
  readonly title: string
  readonly state: 'planned' | 'passed' | 'failed' | 'skipped' | 'hook failed' | 'ended'
  readonly error?: TestError
}

/** Reads what `json-reporter.cjs` wrote. A test that was planned and not run failed with its file's last failed hook. */
export function testRun(lines: string, log: string): TestRun {
  const outcomes = new Map<string, Outcome>()
  const planned: Line[] = []
  const hooks = new Map<string, TestError | undefined>()
  const seen = new Map<string, number>()
  let hasEnded = false
  for (const text of lines.split('\n')) {
    if (text === '') continue
    const line = JSON.parse(text) as Line
    if (line.state === 'ended') hasEnded = true
    else if (line.state === 'planned') planned.push(line)
    else if (line.state === 'hook failed') hooks.set(line.file, line.error)
    else outcomes.set(numbered(line, seen), { state: line.state, ...(line.error && { error: line.error }) })
  }
  const names = new Map<string, number>()
  for (const line of planned) {
    const name = numbered(line, names)
    const error = hooks.get(line.file)
    if (!outcomes.has(name)) outcomes.set(name, { state: 'not run', ...(error && { error }) })
  }
  return Object.freeze({ outcomes, isCut: !hasEnded, log })
}

function numbered({ file, title }: Line, seen: Map<string, number>): string {
  const name = `${file.replace(/^test\//, '').replace(/\.js$/, '.ts')} › ${title}`
  const count = (seen.get(name) ?? 0) + 1
  seen.set(name, count)
  return count === 1 ? name : `${name} (${count})`
}
