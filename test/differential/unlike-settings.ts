import { Client } from 'pg'

/** Settings by name, as an administrator gives them to a database. */
type Settings = Readonly<Record<string, string>>

/**
 * What sessions of the home node, the other node and the oracle have by themselves. The nodes agree in nothing that changes a
 * value's text, meaning or order; the oracle has what sessions are told over nodes: the home node's, where that is exact.
 */
const home = {
  TimeZone: 'America/New_York',
  DateStyle: 'SQL, DMY',
  IntervalStyle: 'postgres',
  extra_float_digits: '0',
  bytea_output: 'escape',
} as const satisfies Settings

const other: Settings = {
  TimeZone: 'Asia/Tokyo',
  DateStyle: 'German',
  IntervalStyle: 'sql_standard',
  extra_float_digits: '-3',
  bytea_output: 'hex',
}

const ofOracle: Settings = { ...home, DateStyle: 'ISO, DMY', extra_float_digits: '1' }

/** For a session of any of the databases: it is then like one of the oracle. */
export const optionsOfOracle: string = Object.entries(ofOracle)
  .map(([name, value]) => `-c ${name}=${value.replaceAll(' ', '\\ ')}`)
  .join(' ')

/** Gives all later sessions of the databases their settings. */
export async function giveSettings(urls: {
  readonly home: string
  readonly other: string
  readonly oracle: string
}): Promise<void> {
  await Promise.all([alter(urls.home, home), alter(urls.other, other), alter(urls.oracle, ofOracle)])
}

async function alter(url: string, settings: Settings): Promise<void> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    const database = client.escapeIdentifier(new URL(url).pathname.slice(1))
    const texts = Object.entries(settings).map(
      ([name, value]) => `ALTER DATABASE ${database} SET ${name} = ${client.escapeLiteral(value)}`,
    )
    await client.query(texts.join('; '))
  } finally {
    await client.end()
  }
}
