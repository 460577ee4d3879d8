/** What a script of psql says, in its order, as far as the regression suite needs it. */
export type ScriptItem =
  | { readonly kind: 'statement'; readonly text: string; readonly line: number }
  /** A query whose only row becomes variables. */
  | { readonly kind: 'store'; readonly text: string; readonly line: number; readonly prefix: string }
  /** Rows for a table, given in the script or read from a file; `options`: what stands behind FROM … */
  | { readonly kind: 'copy'; readonly target: string; readonly options: string; readonly rows: CopyRows }
  /** Another session, perhaps of another server. */
  | { readonly kind: 'connect'; readonly isWorker: boolean }

export type CopyRows = { readonly text: string } | { readonly file: string }

/** Words that psql takes for true. */
const trueWords = new Set(['true', 't', 'on', '1', 'yes'])

/**
 * Reads a script lazily: `variables` may change while it is read, by `\set` and by who runs the queries of `\gset`.
 *
 * @example
 * for (const item of readScript(text, new Map([['abs_srcdir', folder]]))) …
 */
export function* readScript(text: string, variables: Map<string, string>): Generator<ScriptItem> {
  const reader = new ScriptReader(text, variables)
  for (;;) {
    const item = reader.next()
    if (item === undefined) return
    if (item !== 'nothing') yield item
  }
}

class ScriptReader {
  #text: string
  #position = 0
  readonly #variables: Map<string, string>
  /** One entry for each `\if` that is open: whether its branch runs, and whether one of its branches did. */
  readonly #conditions: { isRunning: boolean; hasRun: boolean }[] = []

  constructor(text: string, variables: Map<string, string>) {
    this.#text = text
    this.#variables = variables
  }

  next(): ScriptItem | 'nothing' | undefined {
    this.#skipBlanks()
    if (this.#position >= this.#text.length) return undefined
    if (this.#text[this.#position] === '\\') return this.#command('')
    return this.#statement()
  }

  get #isSkipping(): boolean {
    return this.#conditions.some(({ isRunning }) => !isRunning)
  }

  #skipBlanks(): void {
    const blank = /(?:\s+|--[^\n]*|;)*/y
    blank.lastIndex = this.#position
    this.#position += blank.exec(this.#text)?.[0].length ?? 0
    this.#substitute()
  }

  /** Puts a variable's value in the text where the text names one. */
  #substitute(): boolean {
    if (this.#text[this.#position] !== ':' || this.#text[this.#position - 1] === ':') return false
    const name = /:(?:'(\w+)'|"(\w+)"|(\w+))/y
    name.lastIndex = this.#position
    const [all, literal, identifier, plain] = name.exec(this.#text) ?? []
    const value = this.#variables.get(literal ?? identifier ?? plain ?? '')
    if (all === undefined || value === undefined) return false
    const said = literal ? `'${value.replaceAll("'", "''")}'` : identifier ? `"${value}"` : value
    this.#text = this.#text.slice(0, this.#position) + said + this.#text.slice(this.#position + all.length)
    return true
  }

  #statement(): ScriptItem | 'nothing' {
    const start = this.#position
    const line = this.#text.slice(0, start).split('\n').length
    let depth = 0
    while (this.#position < this.#text.length) {
      if (this.#substitute()) continue
      const char = this.#text[this.#position]
      if (char === '\\') return this.#command(this.#text.slice(start, this.#position), line)
      if (char === ';' && depth === 0) break
      if (char === '(') depth++
      if (char === ')') depth--
      this.#position += this.#lengthOfToken()
    }
    const text = this.#text.slice(start, this.#position).trim()
    this.#position++
    const copy = /^copy\s+([^;]*?)\s+from\s+stdin\b([^;]*)/is.exec(text)
    const rows = copy && this.#rows()
    if (this.#isSkipping) return 'nothing'
    if (copy) return { kind: 'copy', target: copy[1] ?? '', options: copy[2] ?? '', rows: { text: rows ?? '' } }
    return { kind: 'statement', text, line }
  }

  /** Letters of a quoted text, a comment, or one letter. */
  #lengthOfToken(): number {
    const rest = this.#text.slice(this.#position, this.#position + 80)
    const dollar = /^\$(?:[A-Za-z_]\w*)?\$/.exec(rest)?.[0]
    if (dollar) return this.#until(dollar, dollar.length)
    if (rest.startsWith('--')) return this.#until('\n', 0)
    if (rest.startsWith('/*')) return this.#until('*/', 2)
    const escaped = /^e'/i.test(rest) && !/\w/.test(this.#text[this.#position - 1] ?? '')
    const quoted = escaped
      ? /e'(?:[^'\\]|\\.|'')*'/isy
      : rest[0] === "'"
        ? /'[^']*'/y
        : rest[0] === '"'
          ? /"[^"]*"/y
          : undefined
    if (!quoted) return 1
    quoted.lastIndex = this.#position
    return quoted.exec(this.#text)?.[0].length ?? 1
  }

  #until(end: string, skip: number): number {
    const found = this.#text.indexOf(end, this.#position + skip)
    return (found < 0 ? this.#text.length : found + end.length) - this.#position
  }

  #restOfLine(): string {
    const end = this.#text.indexOf('\n', this.#position)
    const line = this.#text.slice(this.#position, end < 0 ? undefined : end)
    this.#position = end < 0 ? this.#text.length : end + 1
    return line
  }

  /** The lines up to `\.`. */
  #rows(): string {
    this.#restOfLine()
    const lines: string[] = []
    while (this.#position < this.#text.length) {
      const line = this.#restOfLine()
      if (line.trim() === '\\.') break
      lines.push(`${line}\n`)
    }
    return lines.join('')
  }

  #command(query: string, line = 0): ScriptItem | 'nothing' {
    const said = this.#restOfLine().trim()
    const [word = '', ...rest] = said.split(/\s+/)
    const argument = said.slice(word.length).trim()
    if (this.#condition(word, argument) || this.#isSkipping) return 'nothing'
    const text = query.trim()
    if (word === '\\gset') return { kind: 'store', text, line, prefix: rest[0] ?? '' }
    if (word === '\\q') this.#position = this.#text.length
    if (word === '\\set' && rest[0] !== undefined)
      this.#variables.set(rest[0], this.#concatenated(argument.slice(rest[0].length)))
    if (word === '\\c' || word === '\\connect') return { kind: 'connect', isWorker: /worker/.test(argument) }
    if (word === '\\copy' || word === '\\COPY') return this.#copy(argument)
    return text === '' ? 'nothing' : { kind: 'statement', text, line }
  }

  #copy(argument: string): ScriptItem | 'nothing' {
    const [, target, file, options = ''] =
      /^(.*?)\s+from\s+(stdin|'[^']*')([^;]*)/is.exec(this.#concatenatedSql(argument)) ?? []
    if (target === undefined || file === undefined) return 'nothing'
    const rows = file.toLowerCase() === 'stdin' ? { text: this.#rows() } : { file: file.slice(1, -1) }
    return { kind: 'copy', target, options, rows }
  }

  #condition(word: string, argument: string): boolean {
    const current = this.#conditions.at(-1)
    const value = trueWords.has(this.#concatenated(argument).toLowerCase())
    if (word === '\\if') this.#conditions.push({ isRunning: value, hasRun: value })
    else if (word === '\\elif' && current) current.isRunning = !current.hasRun && value
    else if (word === '\\else' && current) current.isRunning = !current.hasRun
    else if (word === '\\endif') this.#conditions.pop()
    else return false
    if (current && word !== '\\if') current.hasRun ||= current.isRunning
    return true
  }

  #concatenatedSql(argument: string): string {
    return argument.replaceAll(/:'(\w+)'/g, (all, name) => {
      const value = this.#variables.get(name)
      return value === undefined ? all : `'${value}'`
    })
  }

  /** The arguments of `\set`, one behind the other, as psql reads them. */
  #concatenated(argument: string): string {
    const parts = argument.match(/'(?:[^'\\]|\\.|'')*'|:'\w+'|:"\w+"|:\w+|[^\s']+/gs) ?? []
    return parts.map((part) => this.#argument(part)).join('')
  }

  #argument(part: string): string {
    const [, quote, name] = /^:(['"]?)(\w+)['"]?$/.exec(part) ?? []
    const value = name === undefined ? undefined : this.#variables.get(name)
    if (value !== undefined) return quote ? `${quote}${value}${quote}` : value
    if (!part.startsWith("'")) return part
    return part
      .slice(1, -1)
      .replaceAll("''", "'")
      .replaceAll(/\\(.)/gs, (_, letter) => (letter === 'n' ? '\n' : letter))
  }
}
