/** `.ci/run` tests everything, `npm test` a share of what takes longest. */
export const isWhole = Boolean(process.env['CI'])

/** All of a list in `.ci/run`, every fifth of it in `npm test`. */
export const shareOf = <T>(all: readonly T[]): readonly T[] =>
  isWhole ? all : all.filter((_, index) => index % 5 === 0)

/** What takes minutes: every eighth in `.ci/run` unless said otherwise, every twelfth in `npm test`, and all where the variable is set. */
export const nightlyShareOf = <T>(all: readonly T[], variable: string, oneOf = 8): readonly T[] =>
  process.env[variable] ? all : all.filter((_, index) => index % (isWhole ? oneOf : 12) === 0)
