import type { ValueType } from './sort-form'

const kinds: Readonly<Record<string, ValueType['kind']>> = {
  e: 'enum',
  d: 'domain',
  r: 'range',
  c: 'composite',
  m: 'multirange',
}

/** What `pg_type.typtype` says. @example typeKind('e') // 'enum' */
export const typeKind = (typtype: unknown): ValueType['kind'] => kinds[String(typtype)] ?? 'base'
