import { ShardedError } from '../errors/sharded-error'

/** The error of pg for options that are none, such as a URL that cannot be read; it tells no password. */
export function badConnectionOptions(node: string, cause: unknown): ShardedError {
  const text = cause instanceof Error ? cause.message : String(cause)
  return new ShardedError('OPTIONS_INVALID', `The options of node ${node} give no connection: ${text}.`, {
    details: { node },
  })
}
