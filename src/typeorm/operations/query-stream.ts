import type { Readable } from 'node:stream'
import { QueryFailedError } from 'typeorm'
import type { ReadStream } from 'typeorm/platform/PlatformTools'
import type { Operation } from '../../execution/operation'
import type { Row } from '../../merging/row'
import { loadParser } from '../../sql/parser'
import { sessionText } from '../../sql/session-text'
import { readableOf } from '../runners/readable-of'
import { refuseSession } from '../runners/refuse-session'

/** The arguments of TypeORM's `stream`. */
export type StreamArguments = [
  query: string,
  parameters?: unknown[],
  onEnd?: () => unknown,
  onError?: (error: Error) => unknown,
]

/** @throws ShardedError SESSION_STATEMENT_UNSUPPORTED for a text that is about the session: a stream has none to change */
export async function refuseSessionStream(query: string): Promise<void> {
  await loadParser()
  const what = sessionText(query)?.find(({ session }) => session)
  if (!what) return
  throw refuseSession(`A stream of ${what.text.slice(0, 50)}`, 'send a statement about the session by query()')
}

/** A readable of raw rows, with the listeners and the errors of a stream of TypeORM. */
export function rawStream(
  rows: AsyncIterable<Row>,
  operation: Operation | undefined,
  [, , onEnd, onError]: StreamArguments,
): ReadStream {
  const readable = readableOf(withDriverErrors(rows), operation)
  if (onError) readable.on('error', onError)
  // A reader that stops early is at its end too.
  if (onEnd) readable.once('close', onEnd)
  return asReadStream(readable)
}

/** TypeORM declares a stream of a file. What its drivers return is a readable of rows, which has no file either. */
const asReadStream = (readable: Readable): ReadStream => readable as unknown as ReadStream

/** A stream of TypeORM fails with the driver's error as it is. */
async function* withDriverErrors<T>(rows: AsyncIterable<T>): AsyncGenerator<T, void, undefined> {
  try {
    yield* rows
  } catch (error) {
    throw error instanceof QueryFailedError ? error.driverError : error
  }
}
