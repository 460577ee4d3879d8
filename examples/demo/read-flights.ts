import { dirname, join } from 'node:path'
import { decompress } from 'fzstd'
import type { Flight } from './flight'
import { startProgress } from './progress'

/** One row of fifteen: 200,000 of the three million. */
const step = 15

interface FlightRow {
  readonly date: Date
  readonly delay: bigint
  readonly distance: bigint
  readonly origin: string
  readonly destination: string
}

/**
 * Every fifteenth row of `flights-3m.parquet` of the package `vega-datasets`: the on-time figures of the
 * U.S. Bureau of Transportation Statistics for January to June 2001. The package has a file of 200,000 flights too, but
 * without dates, and the files with dates that are JSON end at 20,000.
 *
 * @param limit rows at the most, spread over the whole half year
 */
export const readFlights = async (limit: number): Promise<readonly Flight[]> => {
  const { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } = await import('hyparquet')
  const folder = dirname(require.resolve('vega-datasets'))
  const file = await asyncBufferFromFile(join(folder, '..', 'data', 'flights-3m.parquet'))
  const metadata = await parquetMetadataAsync(file)
  const compressors = {
    ZSTD: (input: Uint8Array, length: number) => decompress(input, new Uint8Array(length)),
  }
  const total = Number(metadata.num_rows)
  const every = Math.max(step, Math.ceil(total / limit))
  const flights: Flight[] = []
  const progress = startProgress('read', total)
  let start = 0
  // A row group at a time: all rows at once would take a gigabyte.
  for (const { num_rows } of metadata.row_groups) {
    const end = start + Number(num_rows)
    const rows = await parquetReadObjects({ file, metadata, compressors, rowStart: start, rowEnd: end })
    for (const [index, row] of rows.entries()) {
      if ((start + index) % every === 0) flights.push(flightOf(start + index, row as unknown as FlightRow))
    }
    start = end
    progress.add(rows.length)
  }
  progress.end()
  return flights
}

const flightOf = (id: number, { date, delay, distance, origin, destination }: FlightRow): Flight => ({
  id,
  departure: date,
  origin,
  destination,
  distance: Number(distance),
  delay: Number(delay),
})
