/** Collations that every server of the tests has, each with an order of its own. */
export const collations = ['"C"', '"sv-x-icu"', '"und-x-icu"', '"en-x-icu"'] as const
