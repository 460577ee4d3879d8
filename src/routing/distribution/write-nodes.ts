import { conditional, distributes, nodes } from './distribution'

/** The clauses of statements that write. */
export const writeNodes = nodes({
  InsertStmt: conditional({
    sql: 'INSERT',
    says: 'Rows of VALUES go to the shards of their keys; so do rows of a query, which is run first where they may leave the shard that they come from. Without a list of columns, values go to the columns as the first shard holds them.',
    tests: 'query-builder/insert insert-select sql/insert-anywhere sql/mistakes',
    fields: `relation:RangeVar cols* selectStmt* onConflictClause:OnConflictClause returningClause:ReturningClause
      withClause:WithClause override`,
  }),
  UpdateStmt: conditional({
    sql: 'UPDATE',
    says: 'On every shard of its condition, in one transaction. A key changes only as onKeyChange says, and not in an UPDATE that reads other tables or stands behind a WITH that writes.',
    tests: 'query-builder/update-delete sql/writes',
    fields: `relation:RangeVar targetList* whereClause* fromClause* returningClause:ReturningClause
      withClause:WithClause`,
  }),
  DeleteStmt: conditional({
    sql: 'DELETE',
    says: 'On every shard of its condition, in one transaction.',
    tests: 'query-builder/update-delete',
    fields: `relation:RangeVar usingClause* whereClause* returningClause:ReturningClause withClause:WithClause`,
  }),
  MultiAssignRef: distributes({
    sql: 'SET (a, b) = …',
    says: 'Of the row.',
    tests: 'sql/fuzz',
    fields: 'source* colno ncolumns',
  }),
  SetToDefault: distributes({
    sql: 'DEFAULT',
    says: 'The default of the column.',
    tests: 'query-builder/insert',
    fields: 'xpr* typeId typeMod collation location',
  }),
  OnConflictClause: conditional({
    sql: 'ON CONFLICT',
    says: 'Rows that conflict must lie on one shard, and keep their key.',
    tests: 'query-builder/insert',
    fields: 'action infer:InferClause targetList* whereClause* location',
  }),
  InferClause: conditional({
    sql: 'ON CONFLICT (columns)',
    says: 'As ON CONFLICT.',
    tests: 'query-builder/insert',
    fields: 'indexElems* whereClause* conname location',
  }),
  IndexElem: conditional({
    sql: 'a column of ON CONFLICT',
    says: 'As ON CONFLICT.',
    tests: 'query-builder/insert',
    fields: 'name expr* indexcolname collation* opclass* opclassopts* ordering nulls_ordering',
  }),
  ReturningClause: distributes({
    sql: 'RETURNING',
    says: 'Rows of the shards put together, those of INSERT in the order of VALUES.',
    tests: 'query-builder/update-delete',
    fields: 'options* exprs*',
  }),
  ReturningOption: distributes({
    sql: 'RETURNING WITH (OLD AS …)',
    says: 'As RETURNING.',
    tests: 'sql/fuzz',
    fields: 'option value location',
  }),
})
