const minus = 45
const dot = 46
const zero = 48
const nine = 57

/** A finite number: its sign and integer part, its fraction. */
const numericText = /^(-?\d+)(?:\.(\d+))?$/

const malformed = (text: string): TypeError => new TypeError(`${JSON.stringify(text)} is not PostgreSQL numeric text.`)

/** -1, 1 and 2 for -Infinity, Infinity and NaN, as PostgreSQL orders them around the finite numbers (0). */
const specialRank = (text: string): number => {
  if (text === 'NaN') return 2
  if (text === 'Infinity') return 1
  return text === '-Infinity' ? -1 : 0
}

const isDigit = (code: number): boolean => code >= zero && code <= nine

const compareSpecials = (a: string, b: string): number => {
  const aRank = specialRank(a)
  const bRank = specialRank(b)
  if (aRank === 0 && !numericText.test(a)) throw malformed(a)
  if (bRank === 0 && !numericText.test(b)) throw malformed(b)
  return aRank - bRank
}

const isZero = (text: string): boolean => /^-?0+(\.0*)?$/.test(text)

const skipZeros = (text: string, from: number): number => {
  let index = from
  while (text.charCodeAt(index) === zero) index++
  return index
}

/**
 * Compares two finite numbers without their signs, in one pass: the longer integer part wins, then the first digit. What is
 * missing at the end of a fraction counts as zeros.
 */
const compareMagnitudes = (a: string, b: string, signLength: number): number => {
  let difference = 0
  let i = skipZeros(a, signLength)
  let j = skipZeros(b, signLength)
  for (; ; i++, j++) {
    const left = i < a.length ? a.charCodeAt(i) : dot
    const right = j < b.length ? b.charCodeAt(j) : dot
    const leftGoesOn = isDigit(left)
    const rightGoesOn = isDigit(right)
    if (leftGoesOn && rightGoesOn) {
      if (difference === 0) difference = left - right
      continue
    }
    if (!leftGoesOn && left !== dot) throw malformed(a)
    if (!rightGoesOn && right !== dot) throw malformed(b)
    if (leftGoesOn) return 1
    if (rightGoesOn) return -1
    break
  }
  for (i++, j++; difference === 0 && (i < a.length || j < b.length); i++, j++)
    difference = (i < a.length ? a.charCodeAt(i) : zero) - (j < b.length ? b.charCodeAt(j) : zero)
  return difference
}

/**
 * Compares two numbers in PostgreSQL's numeric text, exactly at any size and scale, and without allocating.
 * The order is that of `cmp_numerics`: -Infinity, the finite numbers, Infinity, NaN; `1.0` equals `1`.
 *
 * @returns negative, zero or positive
 * @throws TypeError where a text is not numeric text (an exponent, an empty string), as far as it had to be read: a bug
 * of the caller
 * @example compareDecimals('9007199254740993', '9007199254740992.9') // 1
 */
export const compareDecimals = (a: string, b: string): number => {
  if (a === b) return 0
  const aNegative = a.charCodeAt(0) === minus
  const bNegative = b.charCodeAt(0) === minus
  if (!isDigit(a.charCodeAt(aNegative ? 1 : 0)) || !isDigit(b.charCodeAt(bNegative ? 1 : 0)))
    return compareSpecials(a, b)
  if (aNegative !== bNegative) {
    if (isZero(a) && isZero(b)) return 0
    return aNegative ? -1 : 1
  }
  return aNegative ? compareMagnitudes(b, a, 1) : compareMagnitudes(a, b, 0)
}
