const RADIX = /^([+-]?)(0[xob](?:_?[0-9a-f])+)$/i

/**
 * Rewrites the number texts that PostgreSQL reads since version 16 as plain decimal digits: `1_000`, `0x2A`,
 * `0o52`, `0b101010`.
 * Older servers refuse them, so taking them here never gives another answer than the server. Other texts come
 * back as they are.
 */
export const plainDigits = (text: string): string => {
  const radix = RADIX.exec(text)
  if (radix === null) return text.includes('_') ? text.replace(/(?<=\d)_(?=\d)/g, '') : text
  const digits = (radix[2] ?? '').replaceAll('_', '')
  return isNumber(digits) ? `${radix[1] ?? ''}${BigInt(digits)}` : text
}

const isNumber = (digits: string): boolean => /^0(?:x[0-9a-f]+|o[0-7]+|b[01]+)$/i.test(digits)
