import { queries } from '../../test/parity/tpch/queries'

/** What TPC-H asks of its own rows, where the parity test asks otherwise, of a few hundred rows. */
const constants: Readonly<Record<string, readonly (readonly [string, string])[]>> = {
  q01: [["'1996-09-02'", "'1998-09-02'"]],
  q04: [["'1994-10-01'", "'1993-10-01'"]],
  q14: [["l_shipdate >= date '1995-01-01'", "l_shipdate >= date '1995-09-01' AND l_shipdate < date '1995-10-01'"]],
  q15: [["l_shipdate >= date '1994-01-01'", "l_shipdate >= date '1996-01-01' AND l_shipdate < date '1996-04-01'"]],
  q17: [['0.6 * avg', '0.2 * avg']],
  q18: [['> 90', '> 270']],
  q20: [
    ['0.2 * sum', '0.5 * sum'],
    ["l_shipdate >= date '1993-01-01'", "l_shipdate >= date '1994-01-01' AND l_shipdate < date '1995-01-01'"],
  ],
}

/** The 22 queries, with the constants of TPC-H. */
export const tpchQueries: readonly (readonly [name: string, text: string])[] = Object.entries(queries).map(
  ([name, text]) => [
    name,
    (constants[name] ?? []).reduce((said, [from, to]) => {
      if (!said.includes(from)) throw new Error(`${name} does not say ${from}.`)
      return said.replace(from, to)
    }, text),
  ],
)
