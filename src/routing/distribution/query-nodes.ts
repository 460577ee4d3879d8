import { conditional, distributes, nodes } from './distribution'

/** The clauses of a query. */
export const queryNodes = nodes({
  SelectStmt: conditional({
    sql: 'SELECT, VALUES, TABLE, UNION, INTERSECT, EXCEPT',
    says: 'Rows of the shards are put together and merged by ORDER BY. Groups, DISTINCT and windows that do not hold the shard key are finished on one node from the rows of all shards. The sides of UNION, INTERSECT and EXCEPT are read by themselves and put together on one node. Of equal values that are written otherwise (0.0 and 0.00) EXCEPT gives those of its left side; which of them DISTINCT, GROUP BY, UNION and INTERSECT give, SQL leaves open: on one database too it hangs on the statistics.',
    tests: 'query-builder/select query-builder/group query-builder/order-and-page sql/constants sql/terms sql/sets',
    fields: `distinctClause* intoClause:IntoClause targetList* fromClause* whereClause* groupClause* groupDistinct
      havingClause* windowClause* valuesLists* sortClause* limitOffset* limitCount* limitOption lockingClause*
      withClause:WithClause op all larg:SelectStmt rarg:SelectStmt`,
  }),
  WithClause: conditional({
    sql: 'WITH',
    says: 'Local where what it reads is; else it is run first. A query in which two parts that run apart read one that calls a volatile function is gathered.',
    tests: 'query-builder/cte sql/volatile sql/with',
    fields: 'ctes* recursive location',
  }),
  CommonTableExpr: conditional({
    sql: 'WITH name AS (…)',
    says: 'As WITH. Parts that write run one after the other, in one transaction; refused where a part reads a table after another has written, or where a foreign key leads from what one writes to what another writes.',
    tests: 'query-builder/cte sql/writes sql/writing-with',
    fields: `ctename aliascolnames* ctematerialized ctequery* search_clause:CTESearchClause
      cycle_clause:CTECycleClause location cterecursive cterefcount ctecolnames* ctecoltypes* ctecoltypmods*
      ctecolcollations*`,
  }),
  CTESearchClause: distributes({
    sql: 'SEARCH DEPTH/BREADTH FIRST',
    says: 'Numbers the rows of a recursive WITH that stays on a shard.',
    tests: 'sql/fuzz',
    fields: 'search_col_list* search_breadth_first search_seq_column location',
  }),
  CTECycleClause: distributes({
    sql: 'CYCLE',
    says: 'Marks the rows of a recursive WITH that stays on a shard.',
    tests: 'sql/fuzz',
    fields: `cycle_col_list* cycle_mark_column cycle_mark_value* cycle_mark_default* cycle_path_column location
      cycle_mark_type cycle_mark_typmod cycle_mark_collation cycle_mark_neop`,
  }),
  RangeVar: conditional({
    sql: 'FROM table',
    says: 'A sharded table is read on its shards; rows of an unsharded table of an entity are sent to the shards that need them.',
    tests: 'query-builder/join query-builder/subquery',
    fields: 'catalogname schemaname relname inh relpersistence alias:Alias location',
  }),
  Alias: distributes({
    sql: 'AS name (columns)',
    says: 'Names are those of the statement as it is written.',
    tests: 'sql/stars sql/names',
    fields: 'aliasname colnames*',
  }),
  RangeSubselect: conditional({
    sql: 'FROM (SELECT …)',
    says: 'Local where its rows are those of the shards put together; else it is run first.',
    tests: 'query-builder/subquery sql/stars',
    fields: 'lateral subquery* alias:Alias',
  }),
  RangeFunction: conditional({
    sql: 'FROM function(…)',
    says: 'Asked on every shard: what it calls must give the same there, or read the row beside it; else a query is gathered.',
    tests: 'sql/stars sql/volatile',
    fields: 'lateral ordinality is_rowsfrom functions* alias:Alias coldeflist*',
  }),
  RangeTableFunc: distributes({
    sql: 'XMLTABLE',
    says: 'Reads the row beside it, or a constant.',
    tests: 'sql/fuzz',
    fields: 'lateral docexpr* rowexpr* namespaces* columns* alias:Alias location',
  }),
  RangeTableFuncCol: distributes({
    sql: 'COLUMNS of XMLTABLE',
    says: 'As XMLTABLE.',
    tests: 'sql/fuzz',
    fields: 'colname typeName:TypeName for_ordinality is_not_null colexpr* coldefexpr* location',
  }),
  JsonTable: distributes({
    sql: 'JSON_TABLE',
    says: 'Reads the row beside it, or a constant.',
    tests: 'sql/fuzz',
    fields: `context_item:JsonValueExpr pathspec:JsonTablePathSpec passing* columns* on_error:JsonBehavior
      alias:Alias lateral location`,
  }),
  JsonTableColumn: distributes({
    sql: 'COLUMNS of JSON_TABLE',
    says: 'As JSON_TABLE.',
    tests: 'sql/fuzz',
    fields: `coltype name typeName:TypeName pathspec:JsonTablePathSpec format:JsonFormat wrapper quotes columns*
      on_empty:JsonBehavior on_error:JsonBehavior location`,
  }),
  JsonTablePathSpec: distributes({
    sql: 'the path of JSON_TABLE',
    says: 'A constant.',
    tests: 'sql/fuzz',
    fields: 'string* name name_location location',
  }),
  JoinExpr: conditional({
    sql: 'JOIN, USING, NATURAL',
    says: 'Along the shard key, the primary key or a foreign key of the group; else a query is gathered, and to the shards that an UPDATE or DELETE writes the rows of the other tables are sent. A column of USING and NATURAL stands in * once, from the side that is kept.',
    tests: 'query-builder/join sql/stars sql/gathered',
    fields: 'jointype isNatural larg* rarg* usingClause* join_using_alias:Alias quals* alias:Alias rtindex',
  }),
  ResTarget: distributes({
    sql: 'an output, a column of SET or INSERT',
    says: 'Its name is that of the statement as it is written.',
    tests: 'sql/names',
    fields: 'name indirection* val* location',
  }),
  SortBy: conditional({
    sql: 'ORDER BY',
    says: 'The order of the merge is that of the database. A constant behind an alias or an ordinal orders nothing. A query with USING an operator, or with the order of a whole row, is gathered.',
    tests: 'sql/constants query-builder/order-and-page',
    fields: 'node* sortby_dir sortby_nulls useOp* location',
  }),
  WindowDef: conditional({
    sql: 'OVER, WINDOW',
    says: 'Within a shard where the partition holds the shard key; else finished on one node.',
    tests: 'query-builder/group sql/constants',
    fields: 'name refname partitionClause* orderClause* frameOptions startOffset* endOffset* location',
  }),
  GroupingSet: conditional({
    sql: 'GROUPING SETS, ROLLUP, CUBE',
    says: 'Finished on one node, with the empty set. A column or subquery beside them must be a term of theirs.',
    tests: 'sql/grouping-sets sql/aggregates query-builder/group',
    fields: 'kind content* location',
  }),
  GroupingFunc: conditional({
    sql: 'GROUPING(…)',
    says: 'As the grouping sets that it speaks of.',
    tests: 'sql/fuzz',
    fields: 'xpr* args* refs* agglevelsup location',
  }),
  SubLink: conditional({
    sql: 'a subquery in an expression',
    says: 'Local where it is tied to the row by the shard key; run first where it asks nothing of the rest; else the rows of its tables that it may need are sent to where the statement runs. A query whose subquery has an aggregate of the rows around it is gathered; one that is compared with it is finished first.',
    tests: 'sql/exists query-builder/subquery sql/volatile sql/gathered',
    fields: 'xpr* subLinkType subLinkId testexpr* operName* subselect* location',
  }),
  LockingClause: conditional({
    sql: 'FOR UPDATE, FOR SHARE',
    says: 'Locks the rows that it gives, and a query that locks is not gathered; with LIMIT over several shards a page on each. A lock of rows that are sent to where the statement runs (of an unsharded table beside shards, or of a part that is run first) and one WITH TIES over several shards are refused: OF says which tables to lock. SKIP LOCKED with a page (a LIMIT that is not 0, NULL or ALL; an OFFSET that is not 0) is refused in a transaction over several shards, and a lock in a part that is run first where a statement writes without a transaction.',
    tests: 'sql/locks query-builder/lock',
    fields: 'lockedRels* strength waitPolicy',
  }),
})
