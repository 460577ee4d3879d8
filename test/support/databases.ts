import { inject } from 'vitest'
import { type FreshDatabases, freshDatabases } from './fresh-databases'

/**
 * Databases on the servers of this test run: node i on server i % 2, and an oracle. Outside of vitest use
 * `freshDatabases` with the URLs of clusters that you started.
 *
 * @example
 * const databases = await createDatabases(3)
 * afterAll(() => databases.drop())
 */
export const createDatabases = (count: number): Promise<FreshDatabases> => freshDatabases(inject('adminUrls'), count)
