const isBlank = (code: number): boolean => code === 32 || (code >= 9 && code <= 13)

/**
 * Removes what PostgreSQL takes for white space around a number or a word; JavaScript's `trim`
 * removes more than that.
 */
export const trimBlanks = (text: string): string => {
  let from = 0
  let to = text.length
  while (from < to && isBlank(text.charCodeAt(from))) from++
  while (to > from && isBlank(text.charCodeAt(to - 1))) to--
  return from === 0 && to === text.length ? text : text.slice(from, to)
}
