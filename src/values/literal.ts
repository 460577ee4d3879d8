/** A text as a literal of SQL. @example literal("it's") // "'it''s'" */
export const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`
