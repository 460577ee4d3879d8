const comment = '/\\*[\\s\\S]*?\\*/|--[^\\n]*\\n'
const startsWith = (words: string): RegExp => new RegExp(`^(?:\\s|\\(|${comment})*(?:${words})\\b`, 'i')

const reads = startsWith('select|values|table|fetch|with')
const writes = startsWith('insert|update|delete|merge')
const ctes = startsWith('with')
const wordOfWriting = /\b(?:insert|update|delete|merge)\b/i

/**
 * Whether a statement only reads: too few are called so, never too many, but for functions with effects. A `WITH` that has
 * a word of writing anywhere counts as a write.
 */
export const isRead = (text: string): boolean => reads.test(text) && !mayWriteRows(text)

/** Whether a statement is one that writes rows, or a `WITH` that may: what PostgreSQL takes in a transaction. */
export const mayWriteRows = (text: string): boolean =>
  writes.test(text) || (ctes.test(text) && wordOfWriting.test(text))
