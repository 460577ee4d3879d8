import { conditional, distributes, nodes } from './distribution'

const ofRow = 'Of the row.'

/** SQL/JSON. */
export const jsonNodes = nodes({
  JsonFuncExpr: distributes({
    sql: 'JSON_VALUE, JSON_QUERY, JSON_EXISTS',
    says: ofRow,
    tests: 'sql/fuzz',
    fields: `op column_name context_item:JsonValueExpr pathspec* passing* output:JsonOutput on_empty:JsonBehavior
      on_error:JsonBehavior wrapper quotes location`,
  }),
  JsonArgument: distributes({ sql: 'PASSING', says: ofRow, tests: 'sql/fuzz', fields: 'val:JsonValueExpr name' }),
  JsonBehavior: distributes({
    sql: 'ON EMPTY, ON ERROR',
    says: ofRow,
    tests: 'sql/fuzz',
    fields: 'btype expr* coerce location',
  }),
  JsonOutput: distributes({
    sql: 'RETURNING of SQL/JSON',
    says: ofRow,
    tests: 'sql/fuzz',
    fields: 'typeName:TypeName returning:JsonReturning',
  }),
  JsonReturning: distributes({
    sql: 'RETURNING of SQL/JSON',
    says: ofRow,
    tests: 'sql/fuzz',
    fields: 'format:JsonFormat typid typmod',
  }),
  JsonFormat: distributes({
    sql: 'FORMAT JSON',
    says: ofRow,
    tests: 'sql/fuzz',
    fields: 'format_type encoding location',
  }),
  JsonKeyValue: distributes({ sql: 'key: value', says: ofRow, tests: 'sql/fuzz', fields: 'key* value:JsonValueExpr' }),
  JsonValueExpr: distributes({
    sql: 'a value of SQL/JSON',
    says: ofRow,
    tests: 'sql/fuzz',
    fields: 'raw_expr* formatted_expr* format:JsonFormat',
  }),
  JsonIsPredicate: distributes({
    sql: 'IS JSON',
    says: ofRow,
    tests: 'sql/names',
    fields: 'expr* format:JsonFormat item_type unique_keys location',
  }),
  JsonParseExpr: distributes({
    sql: 'JSON(…)',
    says: ofRow,
    tests: 'sql/names',
    fields: 'expr:JsonValueExpr output:JsonOutput unique_keys location',
  }),
  JsonScalarExpr: distributes({
    sql: 'JSON_SCALAR',
    says: ofRow,
    tests: 'sql/names',
    fields: 'expr* output:JsonOutput location',
  }),
  JsonSerializeExpr: distributes({
    sql: 'JSON_SERIALIZE',
    says: ofRow,
    tests: 'sql/names',
    fields: 'expr:JsonValueExpr output:JsonOutput location',
  }),
  JsonObjectConstructor: distributes({
    sql: 'JSON_OBJECT',
    says: ofRow,
    tests: 'sql/names',
    fields: 'exprs* output:JsonOutput absent_on_null unique location',
  }),
  JsonArrayConstructor: distributes({
    sql: 'JSON_ARRAY',
    says: ofRow,
    tests: 'sql/names',
    fields: 'exprs* output:JsonOutput absent_on_null location',
  }),
  JsonArrayQueryConstructor: distributes({
    sql: 'JSON_ARRAY(SELECT …)',
    says: 'Of the row, where the query reads no other shard.',
    tests: 'sql/fuzz',
    fields: 'query* output:JsonOutput format:JsonFormat absent_on_null location',
  }),
  JsonAggConstructor: conditional({
    sql: 'FILTER, ORDER BY, OVER of JSON_ARRAYAGG',
    says: 'As the aggregate.',
    tests: 'sql/aggregates',
    fields: 'output:JsonOutput agg_filter* agg_order* over:WindowDef location',
  }),
  JsonObjectAgg: conditional({
    sql: 'JSON_OBJECTAGG',
    says: 'An aggregate that needs all rows: finished on one node.',
    tests: 'sql/aggregates',
    fields: 'constructor:JsonAggConstructor arg:JsonKeyValue absent_on_null unique',
  }),
  JsonArrayAgg: conditional({
    sql: 'JSON_ARRAYAGG',
    says: 'An aggregate that needs all rows: finished on one node.',
    tests: 'sql/aggregates',
    fields: 'constructor:JsonAggConstructor arg:JsonValueExpr absent_on_null',
  }),
})
