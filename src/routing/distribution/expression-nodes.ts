import { conditional, distributes, nodes } from './distribution'

const same = 'The same everywhere.'
const ofRow = 'Of the row.'

/** The parts of an expression. */
export const expressionNodes = nodes({
  A_Const: distributes({
    sql: 'a constant',
    says: same,
    tests: 'sql/constants',
    fields: 'ival:Integer fval:Float boolval:Boolean sval:String bsval:BitString isnull location',
  }),
  Integer: distributes({ sql: 'an integer', says: same, tests: 'sql/fuzz', fields: 'ival' }),
  Float: distributes({ sql: 'a number', says: same, tests: 'sql/fuzz', fields: 'fval' }),
  Boolean: distributes({ sql: 'true, false', says: same, tests: 'sql/fuzz', fields: 'boolval' }),
  String: distributes({ sql: 'a text, a name', says: same, tests: 'sql/fuzz', fields: 'sval' }),
  BitString: distributes({ sql: 'a bit string', says: same, tests: 'sql/fuzz', fields: 'bsval' }),
  List: distributes({ sql: 'a list', says: 'As its items.', tests: 'sql/fuzz', fields: 'items*' }),
  ColumnRef: conditional({
    sql: 'a column, *',
    says: 'Of the row. The columns of * must be known. System columns (ctid, xmin …) tell a row on its own shard only, and are refused; RETURNING xmax = 0 of an INSERT runs on each shard.',
    tests: 'sql/stars sql/system-columns',
    fields: 'fields* location',
  }),
  ParamRef: distributes({ sql: '$1', says: same, tests: 'query-builder/raw-sql', fields: 'number location' }),
  A_Expr: conditional({
    sql: 'an operator',
    says: 'As the function that it calls.',
    tests: 'sql/volatile query-builder/where',
    fields: 'kind name* lexpr* rexpr* rexpr_list_start rexpr_list_end location',
  }),
  TypeCast: distributes({
    sql: 'a cast',
    says: "Of the row. 'now', 'today', 'tomorrow' and 'yesterday' as a time are one value for all shards, as a parameter too, and where a column of times takes them or is compared with them.",
    tests: 'sql/clock query-builder/select',
    fields: 'arg* typeName:TypeName location',
  }),
  CollateClause: distributes({
    sql: 'COLLATE',
    says: 'The order of the merge is that of the database.',
    tests: 'query-builder/order-and-page',
    fields: 'arg* collname* location',
  }),
  BoolExpr: distributes({
    sql: 'AND, OR, NOT',
    says: 'Of the row; conditions on the shard key choose the shards.',
    tests: 'query-builder/where',
    fields: 'xpr* boolop args* location',
  }),
  NullTest: distributes({
    sql: 'IS NULL',
    says: ofRow,
    tests: 'query-builder/where',
    fields: 'xpr* arg* nulltesttype argisrow location',
  }),
  BooleanTest: distributes({
    sql: 'IS TRUE, IS UNKNOWN',
    says: ofRow,
    tests: 'sql/fuzz',
    fields: 'xpr* arg* booltesttype location',
  }),
  CaseExpr: distributes({
    sql: 'CASE',
    says: ofRow,
    tests: 'query-builder/select',
    fields: 'xpr* casetype casecollid arg* args* defresult* location',
  }),
  CaseWhen: distributes({
    sql: 'WHEN',
    says: ofRow,
    tests: 'query-builder/select',
    fields: 'xpr* expr* result* location',
  }),
  CoalesceExpr: distributes({
    sql: 'COALESCE',
    says: ofRow,
    tests: 'sql/names',
    fields: 'xpr* coalescetype coalescecollid args* location',
  }),
  MinMaxExpr: distributes({
    sql: 'GREATEST, LEAST',
    says: ofRow,
    tests: 'sql/fuzz',
    fields: 'xpr* minmaxtype minmaxcollid inputcollid op args* location',
  }),
  RowExpr: distributes({
    sql: 'ROW(…)',
    says: ofRow,
    tests: 'sql/fuzz',
    fields: 'xpr* args* row_typeid row_format colnames* location',
  }),
  A_ArrayExpr: distributes({
    sql: 'ARRAY[…]',
    says: ofRow,
    tests: 'sql/stars',
    fields: 'elements* list_start list_end location',
  }),
  A_Indices: distributes({ sql: 'a subscript', says: ofRow, tests: 'sql/fuzz', fields: 'is_slice lidx* uidx*' }),
  A_Indirection: conditional({
    sql: '(row).column, array[1]',
    says: 'Of the row. The columns of (row).* must be known.',
    tests: 'sql/stars',
    fields: 'arg* indirection*',
  }),
  A_Star: conditional({
    sql: '*',
    says: 'Its columns must be known: those of tables of entities, VALUES, queries, and functions of known columns. Of a table they are those that the first shard holds, in the order in which it holds them.',
    tests: 'sql/stars sql/places',
    fields: '',
  }),
  NamedArgExpr: distributes({
    sql: 'name => value',
    says: 'As the call.',
    tests: 'sql/fuzz',
    fields: 'xpr* arg* name argnumber location',
  }),
  FuncCall: conditional({
    sql: 'a function',
    says: 'By what pg_proc says of it on every node that takes part; see below.',
    tests: 'sql/volatile sql/clock sql/aggregates',
    fields: `funcname* args* agg_order* agg_filter* over:WindowDef agg_within_group agg_star agg_distinct
      func_variadic funcformat location`,
  }),
  SQLValueFunction: conditional({
    sql: 'CURRENT_TIMESTAMP, CURRENT_USER …',
    says: 'Asked of one node, once a statement, and sent to all shards as a value; in a transaction the time of its first node.',
    tests: 'sql/clock',
    fields: 'xpr* op type typmod location',
  }),
  XmlExpr: distributes({
    sql: 'XMLELEMENT, XMLFOREST …',
    says: ofRow,
    tests: 'sql/names',
    fields: 'xpr* op name named_args* arg_names* args* xmloption indent type typmod location',
  }),
  XmlSerialize: distributes({
    sql: 'XMLSERIALIZE',
    says: ofRow,
    tests: 'sql/names',
    fields: 'xmloption expr* typeName:TypeName indent location',
  }),
  TypeName: distributes({
    sql: 'the name of a type',
    says: 'Types of PostgreSQL are the same everywhere.',
    tests: 'query-builder/select',
    fields: 'names* typeOid setof pct_type typmods* typemod arrayBounds* location',
  }),
  ColumnDef: distributes({
    sql: 'a column of a function that gives rows',
    says: same,
    tests: 'sql/stars',
    fields: `colname typeName:TypeName compression inhcount is_local is_not_null is_from_type storage storage_name
      raw_default* cooked_default* identity identitySequence:RangeVar generated collClause:CollateClause
      collOid constraints* fdwoptions* location`,
  }),
})
