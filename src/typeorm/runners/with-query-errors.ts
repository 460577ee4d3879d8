import { QueryFailedError } from 'typeorm'

/** Rows of a statement whose stream fails with the driver's error as it is: they fail as TypeORM's queries do. */
export async function* withQueryErrors<T>(
  rows: AsyncIterable<T>,
  text: string,
  parameters: readonly unknown[],
): AsyncGenerator<T, void, undefined> {
  try {
    yield* rows
  } catch (error) {
    throw error instanceof Error ? new QueryFailedError(text, [...parameters], error) : error
  }
}
