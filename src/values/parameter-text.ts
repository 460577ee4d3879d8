import { prepareValue } from 'pg/lib/utils'

/** A value as pg sends it for a parameter: as text, or bytes as they are. */
export const parameterText = (value: unknown): string | Buffer | null => prepareValue(value)
