import { type ErrorCode, errorCatalogue } from './error-catalogue'
import type { ErrorLabel } from './error-label'

/** What an error is about: names and values, never credentials. */
export type ErrorDetails = Readonly<Record<string, unknown>>

/**
 * The one error class of this package. The `code` is stable and has its section in
 * `docs/reference/errors.md`; `why` is the rule that was broken, `fix` the way out.
 *
 * @example
 * try { await orders.save(order) } catch (error) {
 *   if (error instanceof ShardedError && error.code === 'KEY_CHANGED') …
 * }
 */
export class ShardedError extends Error {
  readonly code: ErrorCode
  readonly why: string
  readonly fix: string
  readonly labels: readonly ErrorLabel[]
  readonly details: ErrorDetails

  constructor(
    code: ErrorCode,
    message: string,
    options: {
      details?: ErrorDetails
      cause?: unknown
      labels?: readonly ErrorLabel[]
      /** The way out of this case, where that of the code does not help. */
      fix?: string
    } = {},
  ) {
    const entry = errorCatalogue[code]
    const fix = options.fix ?? entry.fix
    super(`${message} ${fix} [${code}]`, 'cause' in options ? { cause: options.cause } : undefined)
    this.name = 'ShardedError'
    this.code = code
    this.why = entry.why
    this.fix = fix
    this.labels = Object.freeze([...(options.labels ?? entry.labels)])
    this.details = Object.freeze({ ...options.details })
  }

  /** True when the error carries the label. */
  has(label: ErrorLabel): boolean {
    return this.labels.includes(label)
  }
}

/** A statement that has no exact answer over shards. */
export const unsupported = (text: string, details: ErrorDetails = {}): ShardedError =>
  new ShardedError('STATEMENT_UNSUPPORTED', text, { details })
