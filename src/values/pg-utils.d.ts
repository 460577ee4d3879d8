/** pg exports these; its types leave them out. */
declare module 'pg/lib/utils' {
  /** What pg sends for a parameter: text, or bytes as they are. */
  export function prepareValue(value: unknown): string | Buffer | null
}
