import { createHash } from 'node:crypto'
import type { PoolClient, QueryResult } from 'pg'
import { type WitnessedText, witnessedText } from './witnessed-text'

/** How many texts a connection remembers to have seen without a name, per statement it may keep prepared. */
const candidatesPerStatement = 4

/** Letters of those texts together. */
const maxCandidateLetters = 4_000_000

/** Longer texts belong to statements that take long anyway, and rarely come back. 128 shards of a table of 50 columns need as many. */
const maxLetters = 262_144

/**
 * Letters of all named texts of a connection together. What its backend keeps for them is some 40 bytes a letter (measured:
 * 3.2 MiB for the plan of 128 shards, of 79,000 letters).
 */
const maxNamedLetters = 1_048_576

/** Longer parameter lists belong to bulk statements, whose texts rarely come back. */
const maxParametersToPrepare = 512

/** Uses are halved after so many, per statement it may keep prepared: what was used often long ago makes room. */
const usesPerStatement = 16

/** Of so many named texts, the one with the fewest uses is compared with a text that asks for a name. */
const compared = 8

/** How a statement is sent by name. */
export interface StatementName extends WitnessedText {
  readonly name: string
  /** It only reads, as `isRead` says, once that has been asked. */
  isRead?: boolean
  /** What its rows are like, once it has run. */
  description?: RowDescription | undefined
}

interface Named {
  readonly statement: StatementName
  uses: number
}

/**
 * Which statements of one connection are named: a bounded number. A text is named when it is seen for the second time, so
 * that texts that come once (literals in user SQL, bulk inserts) take no place. Where all places are taken, it has to be used
 * more often than the text that goes: of a working set larger than the bound one part stays prepared, instead of all being
 * prepared and dropped in turn.
 *
 * A name is a hash of its text. Behind a pooler that gives each transaction another session, a name may be unknown there,
 * or be known already, but never stands for another statement.
 */
export class PreparedStatements {
  private readonly names = new Map<string, Named>()
  private readonly candidates = new Map<string, number>()
  private letters = 0
  private namedLetters = 0
  private uses = 0

  constructor(
    private readonly max: number,
    /** Told of each name that is no longer used. */
    private readonly onDropped: (name: string) => void = () => undefined,
    /** True for a text that takes no query before it. */
    private readonly mayBeRewritten: (text: string) => boolean = () => false,
  ) {}

  /** The name under which to send `text`; undefined: send it unnamed. */
  nameFor(text: string, parameterCount: number): StatementName | undefined {
    // First, so that the text of a bulk statement is not even hashed.
    if (this.max === 0 || parameterCount > maxParametersToPrepare) return undefined
    const known = this.names.get(text)
    if (known) {
      this.age()
      known.uses += 1
      return known.statement
    }
    const before = this.candidates.get(text)
    if (before === undefined) {
      if (text.length <= maxLetters && isPreparable(text) && !readsRowsOfArrays(text) && !mayBeSeveral(text))
        this.remember(text, 1)
      return undefined
    }
    this.age()
    const uses = before + 1
    const witnessed = witnessedText(text, parameterCount)
    const isTaken = witnessed && (witnessed.witnesses === 0 || !this.mayBeRewritten(text))
    if (!isTaken || !this.makeRoomFor(text, uses)) {
      this.remember(text, uses)
      return undefined
    }
    this.forget(text)
    const statement = { ...witnessed, name: nameOf(witnessed.text) }
    this.names.set(text, { statement, uses })
    this.namedLetters += text.length
    return statement
  }

  /** Forgets all names, of each of which `onDropped` is told. */
  clear(): void {
    for (const { statement } of this.names.values()) this.onDropped(statement.name)
    this.names.clear()
    this.namedLetters = 0
  }

  get size(): number {
    return this.names.size
  }

  /** @returns false where all that are named, as far as is looked, are used as often */
  private makeRoomFor(text: string, uses: number): boolean {
    while (this.names.size >= this.max || this.namedLetters + text.length > maxNamedLetters)
      if (!this.dropOneOf(uses)) return false
    return true
  }

  /** Drops one that is used less than a text that was used `uses` times. */
  private dropOneOf(uses: number): boolean {
    const [first] = this.names
    let least: readonly [string, Named] | undefined
    let looked = 0
    for (const entry of this.names) {
      if (!least || entry[1].uses < least[1].uses) least = entry
      looked += 1
      if (looked === compared) break
    }
    if (!first || !least) return false
    // Not by a hair: of texts that are used as often, those that are named stay.
    if (least[1].uses * 1.5 < uses) {
      this.names.delete(least[0])
      this.namedLetters -= least[0].length
      this.remember(least[0], least[1].uses)
      this.onDropped(least[1].statement.name)
      return true
    }
    // The next time others are looked at.
    this.names.delete(first[0])
    this.names.set(first[0], first[1])
    return false
  }

  private remember(text: string, uses: number): void {
    this.forget(text)
    this.candidates.set(text, uses)
    this.letters += text.length
    for (const oldest of this.candidates.keys()) {
      if (this.candidates.size <= this.max * candidatesPerStatement && this.letters <= maxCandidateLetters) break
      this.forget(oldest)
    }
  }

  private forget(text: string): void {
    if (this.candidates.delete(text)) this.letters -= text.length
  }

  private age(): void {
    this.uses += 1
    if (this.uses < this.max * usesPerStatement) return
    this.uses = 0
    for (const named of this.names.values()) named.uses >>= 1
    for (const [text, uses] of this.candidates) this.candidates.set(text, Math.max(1, uses >> 1))
  }
}

/** 128 bits of a hash that nobody can find two texts for. */
const nameOf = (text: string): string => `ts_${createHash('sha256').update(text).digest('base64url').slice(0, 22)}`

/** Statements that a plan can be kept for; utility statements (BEGIN, TRUNCATE, DDL) have none. */
function isPreparable(text: string): boolean {
  return /^(?:\s|\(|\/\*[\s\S]*?\*\/)*(?:select|insert|update|delete|with)\b/i.test(text)
}

/**
 * Rows that are sent as arrays and stand for tables, as `planning/shipped-rows.ts` names them: from its sixth run on a named statement
 * would be planned for ten of them, whatever their number, and join thousands row by row.
 */
const readsRowsOfArrays = (text: string): boolean => /"__m\d+__"\(/.test(text)

/** PostgreSQL prepares one at a time. A semicolon in a literal counts too: such a text is sent plainly, which is right as well. */
const mayBeSeveral = (text: string): boolean => /;\s*\S/.test(text)

type TypeParser = (value: string) => unknown

/** What a server told of the rows of a prepared statement: it tells the same each time, or that its plan is stale. */
export interface RowDescription {
  /** What pg makes of it for a result: fields, parsers, an empty row. */
  readonly shape: object
  /** By the types of its columns. */
  readonly parsers: readonly (readonly [type: number, parser: TypeParser])[]
}

/** What is to be remembered of the answer of a named statement. */
export function descriptionOf(result: QueryResult, client: PoolClient): RowDescription {
  const { rows: _rows, command: _command, rowCount: _count, oid: _oid, ...shape } = result
  const types = [...new Set(result.fields.map(({ dataTypeID }) => dataTypeID))]
  return { shape, parsers: types.map((type) => [type, client.getTypeParser(type, 'text')]) }
}

/** False once somebody has set another parser for a type: pg asks for them anew each time. */
export const isCurrent = ({ parsers }: RowDescription, client: PoolClient): boolean =>
  parsers.every(([type, parser]) => client.getTypeParser(type, 'text') === parser)
