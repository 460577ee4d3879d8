import { writeFileSync } from 'node:fs'

/** `UPDATE_SPECS=1` writes the plans anew: read the difference before you keep it. */
export const isUpdate = process.env['UPDATE_SPECS'] === '1'

/** Writes the cases of a file, of each what is asked in one line, and its plan below. */
export const writeCases = (path: string, cases: readonly { readonly expect?: unknown }[]): void =>
  writeFileSync(path, `[\n${cases.map(writtenCase).join(',\n')}\n]\n`)

const writtenCase = ({ expect: plan, ...asked }: { readonly expect?: unknown }): string =>
  `${JSON.stringify(asked).slice(0, -1)}, "expect": ${JSON.stringify(plan, null, 1)}}`
