const firstSurrogate = 0xd800
const lastSurrogate = 0xdfff

/** Lifts surrogates above U+E000 – U+FFFF, where the code points that they stand for belong. */
const lift = (unit: number): number => (unit >= firstSurrogate && unit <= lastSurrogate ? unit + 0x10000 : unit)

/**
 * Compares two well-formed texts by code points: the byte order of their UTF-8, which is PostgreSQL's order in C, POSIX
 * and C.UTF-8. JavaScript's `<` compares UTF-16 units and puts surrogate pairs (U+10000 and up) below U+E000 – U+FFFF.
 * The fix-up at the first unit that differs is the one of ICU's `compareCodePointOrder`.
 *
 * @returns negative, zero or positive
 * @example compareCodePoints('\u{1F600}', '\uFF5E') // positive, although '\u{1F600}' < '\uFF5E'
 */
export const compareCodePoints = (a: string, b: string): number => {
  if (a === b) return 0
  const shared = Math.min(a.length, b.length)
  for (let index = 0; index < shared; index++) {
    const left = a.charCodeAt(index)
    const right = b.charCodeAt(index)
    if (left !== right) return lift(left) - lift(right)
  }
  return a.length - b.length
}
