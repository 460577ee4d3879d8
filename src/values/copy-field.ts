/** What stands for NULL. */
export const copyNull = '\\N'

const special = /[\\\t\n\r]/
const escapes: Readonly<Record<string, string>> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' }

/** A value as a field of COPY's text format; bytes as PostgreSQL writes them. */
export function copyField(value: string | Buffer | null): string {
  if (value === null) return copyNull
  if (typeof value !== 'string') return `\\\\x${value.toString('hex')}`
  return special.test(value) ? value.replace(/[\\\t\n\r]/g, (found) => escapes[found] ?? found) : value
}
