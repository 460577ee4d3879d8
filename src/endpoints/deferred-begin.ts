import type { StatementResult } from './statement-result'

/** As TypeORM and this product begin transactions. */
const starts = /^START TRANSACTION(?: ISOLATION LEVEL [A-Z ]+)?$/

/**
 * A START TRANSACTION that is held back, to go with the first statement of its transaction in one message: a transaction
 * costs a round trip less. PostgreSQL takes its snapshot at that statement anyway.
 *
 * @example
 * const start = new DeferredBegin()
 * start.answer('START TRANSACTION', false) // held: this result, and nothing is sent
 * start.take() // 'START TRANSACTION': goes before the next statement
 */
export class DeferredBegin {
  private text: string | undefined

  /**
   * What is answered to a statement without sending it: to a start, and to the end of a transaction that has sent nothing.
   *
   * @returns undefined for one that is to be sent
   */
  answer(text: string, inTransaction: boolean): StatementResult | undefined {
    if (this.text === undefined) {
      if (inTransaction || !starts.test(text)) return undefined
      this.text = text
      return resultOf('START')
    }
    if (text !== 'COMMIT' && text !== 'ROLLBACK') return undefined
    this.text = undefined
    return resultOf(text)
  }

  get isHeld(): boolean {
    return this.text !== undefined
  }

  /** What is to be sent now. */
  take(): string | undefined {
    const { text } = this
    this.text = undefined
    return text
  }

  /** It has not begun: what comes next must not run outside of its transaction. */
  putBack(text: string): void {
    this.text = text
  }
}

const resultOf = (command: string): StatementResult => ({ command, rowCount: null, oid: 0, rows: [], fields: [] })
