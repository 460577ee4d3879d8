/** Columns that every line keeps within. */
const width = 80

const write = (line: string): void => void process.stdout.write(`${line}\n`)

const style = (code: number, text: string): string =>
  process.stdout.isTTY && process.env['NO_COLOR'] === undefined ? `\x1b[${code}m${text}\x1b[0m` : text

export const bold = (text: string): string => style(1, text)
export const dim = (text: string): string => style(2, text)

export const count = (value: number): string => value.toLocaleString('en-US')

export const milliseconds = (value: number): string => `${value.toFixed(value < 10 ? 1 : 0)} ms`

export const plural = (value: number, word: string): string => `${count(value)} ${word}${value === 1 ? '' : 's'}`

export const heading = (text: string): void => write(`\n${bold(text)}\n${dim('─'.repeat(width))}`)

export const line = (text = ''): void => write(text)

/** A labelled line; more lines of the same label stand below, indented. */
export const field = (label: string, ...texts: readonly string[]): void => {
  for (const [index, text] of texts.entries()) write(`  ${dim((index === 0 ? label : '').padEnd(11))} ${text}`)
}

/** Cut by code points, so that no letter is cut in two. */
export const cut = (text: string, columns: number): string => {
  const letters = [...text]
  return letters.length <= columns ? text : `${letters.slice(0, columns - 1).join('')}…`
}

/** One line of a bar chart. */
export const bar = (label: string, value: number, most: number): void => {
  const length = most === 0 ? 0 : Math.round((value / most) * 36)
  write(`  ${label.padEnd(24)} ${'█'.repeat(length).padEnd(36)} ${count(value).padStart(9)}`)
}
