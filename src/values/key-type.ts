/** The kinds of columns that a shard key can have, as far as telling equal keys goes. */
export type KeyType =
  | 'integer' // smallint, int, bigint
  | 'numeric'
  | 'float' // float8
  | 'text' // text, varchar, enum
  | 'char' // char(n): trailing blanks do not count
  | 'uuid'
  | 'boolean'
  | 'date'
  | 'timestamp'
  | 'timestamptz'
  | 'bytes'
