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

  /** Whether nothing is refused so far. */
  get isEmpty(): boolean {
    return this.#errors.length === 0
  }

  /** Runs a check. A `ShardedError` is kept, once if several checks give the same, and `undefined` returned; any other error is a bug and is thrown. */
  attempt<Value>(check: () => Value): Value | undefined {
    try {
      return check()
    } catch (error) {
      if (!(error instanceof ShardedError)) throw error
      this.add(error)
      return undefined
    }
  }

  /** Runs checks that do not need each other. @returns true where none of them refuses */
  attemptAll(checks: readonly (() => void)[]): boolean {
    const failed = checks.filter((check) => {
      const passes = () => {
        check()
        return true
      }
      return this.attempt(passes) === undefined
    })
    return failed.length === 0
  }

  /**
   * Runs what all the rest needs. After a refusal it may fail for what follows from that, so any failure of it throws the refusals.
   *
   * @throws ShardedError as `throwAny`, or what the work throws where nothing is refused
   */
  async require<Value>(work: () => Promise<Value>): Promise<Value> {
    try {
      return await work()
    } catch (error) {
      if (error instanceof ShardedError) this.add(error)
      this.throwAny()
      throw error
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

  private add(error: ShardedError): void {
    if (!this.#errors.some(({ message }) => message === error.message)) this.#errors.push(error)
  }
}
