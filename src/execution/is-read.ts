const comment = '/\\*[\\s\\S]*?\\*/|--[^\\n]*\\n'
const reads = new RegExp(`^(?:\\s|\\(|${comment})*(?:select|values|table|fetch|with)\\b`, 'i')
const startsWith = new RegExp(`^(?:\\s|\\(|${comment})*with\\b`, 'i')

/**
 * Whether a statement only reads: too few are called so, never too many, but for functions with effects. A `WITH` that has
 * a word of writing anywhere counts as a write.
 */
export function isRead(text: string): boolean {
  if (!reads.test(text)) return false
  return !startsWith.test(text) || !/\b(?:insert|update|delete|merge)\b/i.test(text)
}
