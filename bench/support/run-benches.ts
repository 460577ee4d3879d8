import { freshDatabases } from '../../test/support/fresh-databases'
import type { Bench, Measure, Scale } from './bench'

/** Runs benches one after the other, each with databases of its own on these servers. */
export const runBenches = async (
  benches: readonly Bench[],
  admins: readonly string[],
  scale: Scale,
  onMeasures: (bench: string, measures: readonly Measure[]) => void = () => undefined,
): Promise<Readonly<Record<string, readonly Measure[]>>> => {
  const results: Record<string, readonly Measure[]> = {}
  for (const bench of benches) {
    const databases = await freshDatabases(admins, 2)
    try {
      const measures = await bench.run({ scale, databases })
      results[bench.name] = measures
      onMeasures(bench.name, measures)
    } finally {
      await databases.drop()
    }
  }
  return results
}
