/** Where answers are kept, as a `Map` or a cache keeps them. */
interface Answers<Answer> {
  get(key: string): Kept<Answer> | undefined
  set(key: string, kept: Kept<Answer>): unknown
  delete(key: string): unknown
}

/** A question that is on its way, or its answer. */
export interface Kept<Answer> {
  readonly asked: Promise<Answer>
  isAnswered: boolean
}

/**
 * Questions that are asked once. Who holds what the question of another may wait for, a connection or a lock, does not wait for it:
 * it asks on its own account.
 *
 * @example
 * const types = new SharedQuestions(new Map())
 * await types.ask('SELECT 1', { isHolding: false }, () => describe('SELECT 1'))
 */
export class SharedQuestions<Answer> {
  constructor(private readonly kept: Answers<Answer>) {}

  ask(key: string, { isHolding }: { readonly isHolding: boolean }, question: () => Promise<Answer>): Promise<Answer> {
    const known = this.kept.get(key)
    if (known && (known.isAnswered || !isHolding)) return known.asked
    const kept: Kept<Answer> = { asked: question(), isAnswered: false }
    if (!isHolding) this.kept.set(key, kept)
    kept.asked.then(
      () => {
        kept.isAnswered = true
        if (isHolding) this.kept.set(key, kept)
      },
      () => {
        if (this.kept.get(key) === kept) this.kept.delete(key)
      },
    )
    return kept.asked
  }
}
