import { ofText } from '../../collections/of-text'
import { mayAskCatalog } from '../../routing/catalog-names'
import type { TableCatalog } from '../../routing/table-catalog'
import type { ShardRuntime } from '../runners/shard-runtime'
import type { ClockDefaults } from './clock-defaults'
import type { StatementEngine } from './statement-engine'
import type { ReadStatement } from './statement-run'
import type { ShardedView } from './views'

/** Without one of these words a statement says nothing of the time. */
const timeWords =
  /\b(?:now|current_date|current_time|current_timestamp|localtime|localtimestamp|transaction_timestamp|age|today|tomorrow|yesterday)\b/i

/** What is known of statements before one is read, and the way to the engine that reads them: a quarter of the package. */
export class Statements {
  private loading: Promise<StatementEngine> | undefined
  private loaded: StatementEngine | undefined
  private names: RegExp
  private readonly views: ShardedView[] = []
  private hasName = ofText((text) => this.names.test(text))
  private readonly hasTime = ofText((text) => timeWords.test(text) || this.clocks.mayTake(text))

  constructor(
    readonly runtime: ShardRuntime,
    readonly catalog: TableCatalog,
    private readonly clocks: ClockDefaults,
  ) {
    this.names = anyOf([...catalog.names, ...catalog.types])
  }

  /** Has the query of a view over shards stand for its name, in all statements that are read later. */
  async define(view: ShardedView): Promise<void> {
    const { reader } = await this.engine()
    reader.views.define(view)
    this.views.push(view)
    this.names = anyOf([...this.catalog.names, ...this.catalog.types, ...this.views.map(({ name }) => name)])
    this.hasName = ofText((text) => this.names.test(text))
  }

  /** Whether a view is of tables over shards: then no database has it. */
  isView(target: Pick<ShardedView, 'schema' | 'name'>): boolean {
    return this.views.some(({ schema, name }) => schema === target.schema && name === target.name)
  }

  /** False only for texts that certainly name no sharded table: they need not be parsed. */
  mentions(text: string, parameters: readonly unknown[] = []): boolean {
    if (this.catalog.names.length === 0) return false
    const isName = (value: unknown) => typeof value === 'string' && this.names.test(value)
    return this.hasName(text) || (mayAskCatalog(text) && parameters.some(isName))
  }

  /** False only for texts that certainly say nothing of the time, and take no default that does. */
  mayTellTime(text: string): boolean {
    return this.hasTime(text)
  }

  /** Tells that a table may have been altered. An engine that is not loaded has asked for nothing yet. */
  schemaChanged(): void {
    this.loaded?.reader.schemaChanged()
  }

  /** Reads a text. @returns undefined where it is no SQL, or names no sharded table */
  async understand(text: string): Promise<ReadStatement | undefined> {
    return this.mentions(text) ? (await this.engine()).reader.understand(text) : undefined
  }

  /** See `StatementEngine.again`; undefined for a query with parameters, too. */
  again<T>(text: string, parameters: unknown, otherwise: () => Promise<T>): Promise<T | object> | undefined {
    const isAlone = parameters === undefined || (Array.isArray(parameters) && parameters.length === 0)
    return isAlone ? this.loaded?.again(text, otherwise) : undefined
  }

  /** The engine; the first call loads it. */
  engine(): Promise<StatementEngine> {
    this.loading ??= this.load()
    return this.loading
  }

  private async load(): Promise<StatementEngine> {
    // With its extension: an `import()` looks for files as ES modules do.
    const { StatementEngine } = await import('./statement-engine.ts')
    this.loaded = new StatementEngine(this.runtime, this.catalog, this.clocks)
    return this.loaded
  }
}

/** Any of some names as a word. */
function anyOf(names: readonly string[]): RegExp {
  const escaped = names.map((name) => name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`"__shard__"|(?<![\\p{L}\\p{N}_$])(?:${escaped.join('|')})(?![\\p{L}\\p{N}_$])`, 'iu')
}
