/** The words of a text, and so a list of names as plain data: several on a line. */
export const words = (text: string): readonly string[] => text.trim().split(/\s+/)

/** The same as a set. */
export const wordSet = (text: string): ReadonlySet<string> => new Set(words(text))
