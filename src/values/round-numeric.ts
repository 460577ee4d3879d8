/**
 * A canonical numeric rounded to `scale` digits behind the decimal point (before it, where the scale is negative), halves away
 * from zero, as PostgreSQL rounds what it stores in `numeric(p, s)`. NaN and infinity stay.
 */
export function roundNumeric(key: string, scale: number): string {
  const [, sign = '', whole = '', fraction = ''] = decimal.exec(key) ?? []
  if (whole === '' || fraction.length <= scale) return key
  const digits = whole + fraction
  const cut = whole.length + scale
  // Beyond the first digit all digits are zeros, so that nothing is left.
  const rounded = cut < 0 ? 0n : BigInt(digits.slice(0, cut) || '0') + (digits.charCodeAt(cut) >= fiveCode ? 1n : 0n)
  if (rounded === 0n) return '0'
  if (scale <= 0) return `${sign}${rounded}${'0'.repeat(-scale)}`
  const text = String(rounded).padStart(scale + 1, '0')
  const kept = text.slice(-scale).replace(/0+$/, '')
  return `${sign}${text.slice(0, -scale)}${kept && `.${kept}`}`
}

const decimal = /^(-?)(\d+)(?:\.(\d+))?$/
const fiveCode = 0x35
