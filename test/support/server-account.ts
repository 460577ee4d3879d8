import { execFile } from 'node:child_process'
import { userInfo } from 'node:os'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Whom the server runs as: nothing to say for a normal user, the user `postgres` for root. */
export interface ServerAccount {
  readonly uid?: number
  readonly gid?: number
}

const idsOf = async (user: string): Promise<ServerAccount> => {
  const [uid, gid] = await Promise.all([run('id', ['-u', user]), run('id', ['-g', user])])
  return { uid: Number(uid.stdout), gid: Number(gid.stdout) }
}

const createPostgresUser = async (): Promise<ServerAccount> => {
  // Two clusters that start at once both come here: the second `useradd` fails, and the user is there all the same.
  await run('useradd', ['--system', '--user-group', '--no-create-home', 'postgres']).catch(() => undefined)
  return idsOf('postgres')
}

/** PostgreSQL refuses to run as root: then the user `postgres` is used, and made where it is missing. */
export const serverAccount = async (): Promise<ServerAccount> =>
  userInfo().uid === 0 ? idsOf('postgres').catch(createPostgresUser) : {}
