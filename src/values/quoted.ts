/** A name as an identifier of SQL. @example quoted('order') // '"order"' */
export const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`
