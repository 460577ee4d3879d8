import { types } from 'pg'

/** False where the program has given `pg` another parser of numeric: what the driver gives then does not keep the order. */
export const numericIsText = (): boolean => typeof types.getTypeParser(types.builtins.NUMERIC, 'text')('1') === 'string'
