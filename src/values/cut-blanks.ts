/**
 * A text as a column `varchar(length)` stores it: blanks behind its last character go. Where anything but blanks stands
 * there, PostgreSQL refuses the text (22001), and it comes back as it is. Characters are code points, as in PostgreSQL.
 */
export function cutBlanks(text: string, length: number): string {
  if (text.length <= length) return text
  let end = 0
  for (let characters = 0; characters < length && end < text.length; characters++)
    end += (text.codePointAt(end) ?? 0) > 0xffff ? 2 : 1
  for (let place = end; place < text.length; place++) if (text.charCodeAt(place) !== 0x20) return text
  return text.slice(0, end)
}
