import { ShardedError } from './sharded-error'

/**
 * Collects what is wrong with the declarations of a data source, so that one start reports all of it.
 *
 * @example
 * const refusals = new Refusals()
 * for (const entity of entities) refusals.attempt(() => checkEntity(entity))
 * refusals.throwAny()
 */
export class Refusals {
  readonly #errors: ShardedError[] = []

  /** Runs a check. A `ShardedError` is kept, once if several checks give the same, and `undefined` returned; any other error is a bug and is thrown. */
  attempt<Value>(check: () => Value): Value | undefined {
    try {
      return check()
    } catch (error) {
      if (!(error instanceof ShardedError)) throw error
      if (!this.#errors.some(({ message }) => message === error.message)) this.#errors.push(error)
      return undefined
    }
  }

  /** Throws the one refusal as it is, and several as a list. @throws ShardedError the refusal, or DECLARATIONS_INVALID */
  throwAny(): void {
    const [first, second] = this.#errors
    if (!first) return
    if (!second) throw first
    throw new ShardedError(
      'DECLARATIONS_INVALID',
      `${this.#errors.length} declarations are refused:\n${this.#errors.map(({ message }, index) => `${index + 1}. ${message}`).join('\n')}\n`,
      { details: { refusals: Object.freeze([...this.#errors]) } },
    )
  }
}
