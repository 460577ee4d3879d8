/** Rows of TPC-H at scale factor 1. */
const suppliers = 10_000
const parts = 200_000
const customers = 150_000
const orders = 1_500_000

/** A number below `limit` that looks random, the same each time. */
const mixed = (key: string, salt: number, limit: number | string): string =>
  `(abs(hashint4extended((${key})::int, ${salt})) % ${limit})::int`

const pick = (words: string, key: string, salt: number): string => {
  const list = words.split(', ').map((word) => `'${word}'`)
  return `(ARRAY[${list}])[1 + ${mixed(key, salt, list.length)}]`
}

const nations =
  'ALGERIA, ARGENTINA, BRAZIL, CANADA, EGYPT, ETHIOPIA, FRANCE, GERMANY, INDIA, INDONESIA, IRAN, IRAQ, JAPAN, JORDAN, KENYA, MOROCCO, MOZAMBIQUE, PERU, CHINA, ROMANIA, SAUDI ARABIA, VIETNAM, RUSSIA, UNITED KINGDOM, UNITED STATES'
const regions = '0,1,1,1,4,0,3,3,2,2,4,4,2,4,0,0,0,1,2,3,4,2,3,3,1'
const colours =
  'green, forest, almond, azure, beige, blush, chiffon, coral, cream, dim, ivory, khaki, lace, linen, maroon, mint, navy'

/**
 * The statements that fill the tables of one database, in the distributions of TPC-H as far as its queries ask for them.
 *
 * @param scale the scale factor: 1 has 1,500,000 orders
 */
export function fillStatements(scale: number): readonly string[] {
  const [supplierCount, partCount, customerCount, orderCount] = [suppliers, parts, customers, orders].map((count) =>
    Math.max(1, Math.round(count * scale)),
  ) as [number, number, number, number] // As many as were mapped.
  const supplierOf = (part: string, turn: string): string =>
    `((${part} + ${turn} * (${Math.floor(supplierCount / 4)} + ${part} / ${supplierCount})) % ${supplierCount}) + 1`
  // A third of the customers has no orders.
  const customerOf = (order: string): string =>
    `3 * ${mixed(order, 31, Math.max(1, Math.floor(customerCount / 3)))} + 1 + ${mixed(order, 32, 2)}`
  const dayOf = (order: string): string => `date '1992-01-01' + ${mixed(order, 33, 2406)}`
  return [
    `INSERT INTO region SELECT n - 1, name FROM unnest(ARRAY['AFRICA', 'AMERICA', 'ASIA', 'EUROPE', 'MIDDLE EAST']) WITH ORDINALITY r (name, n)`,
    `INSERT INTO nation SELECT n - 1, name, region FROM unnest(string_to_array('${nations}', ', '), ARRAY[${regions}]) WITH ORDINALITY t (name, region, n)`,
    `INSERT INTO supplier SELECT k, 'Supplier ' || k, ${mixed('k', 1, 1_100_000)} / 100.0 - 999, ${mixed('k', 2, 25)},
       CASE WHEN k % 50 = 0 THEN 'Customer slow Complaints' ELSE 'fine' END FROM generate_series(1, ${supplierCount}) k`,
    `INSERT INTO part SELECT k, ${pick(colours, 'k', 3)} || ' ' || ${pick(colours, 'k', 4)}, 'M' || k % 5, 'Brand#' || ${mixed('k', 5, 25)},
       ${pick('STANDARD, SMALL, MEDIUM, LARGE, ECONOMY, PROMO', 'k', 6)} || ' ' || ${pick('TIN, NICKEL, BRASS, STEEL, COPPER', 'k', 7)},
       1 + ${mixed('k', 8, 50)}, ${pick('SM, LG, MED, JUMBO, WRAP', 'k', 9)} || ' ' || ${pick('CASE, BOX, BAG, JAR, PKG, PACK, CAN, DRUM', 'k', 10)}
       FROM generate_series(1, ${partCount}) k`,
    `INSERT INTO partsupp SELECT DISTINCT ON (1, 2) k, ${supplierOf('k', 'n')}, 1 + ${mixed('k * 4 + n', 11, 9999)}, 1 + ${mixed('k * 4 + n', 12, 99_900)} / 100.0
       FROM generate_series(1, ${partCount}) k, generate_series(0, 3) n`,
    `INSERT INTO customer SELECT k, 'Customer ' || k, 10 + ${mixed('k', 13, 25)} || '-555', ${mixed('k', 14, 1_100_000)} / 100.0 - 999,
       ${pick('BUILDING, MACHINERY, AUTOMOBILE, FURNITURE, HOUSEHOLD', 'k', 15)}, ${mixed('k', 16, 25)} FROM generate_series(1, ${customerCount}) k`,
    `INSERT INTO orders SELECT k, ${customerOf('k')}, ${pick('F, F, F, O, O, O, P', 'k', 34)}, ${mixed('k', 35, 40_000_000)} / 100.0, ${dayOf('k')},
       ${pick('1-URGENT, 2-HIGH, 3-MEDIUM, 4-NOT SPECIFIED, 5-LOW', 'k', 36)}, 0, CASE WHEN k % 90 = 0 THEN 'special packed requests' ELSE 'plain' END
       FROM generate_series(1, ${orderCount}) k`,
    `INSERT INTO lineitem SELECT k, n, ${customerOf('k')}, p, ${supplierOf('p', mixed('m', 22, 4))}, q, q * (90_000 + p % 20_000) / 100.0,
       ${mixed('m', 23, 11)} / 100.0, ${mixed('m', 24, 9)} / 100.0, ${pick('A, N, N, R', 'm', 25)}, ${pick('F, O', 'm', 26)},
       shipped, ${dayOf('k')} + 30 + ${mixed('m', 28, 61)}, shipped + 1 + ${mixed('m', 29, 30)},
       ${pick('DELIVER IN PERSON, COLLECT COD, NONE, TAKE BACK RETURN', 'm', 30)}, ${pick('AIR, MAIL, SHIP, RAIL, TRUCK, FOB, REG AIR', 'm', 40)}
       FROM (SELECT k, n, m, 1 + ${mixed('m', 20, partCount)} AS p, 1 + ${mixed('m', 21, 50)} AS q, ${dayOf('k')} + 1 + ${mixed('m', 27, 121)} AS shipped
         FROM (SELECT k, n, k * 8 + n AS m FROM generate_series(1, ${orderCount}) k, generate_series(1, 1 + ${mixed('k', 41, 7)}) n) l) l`,
  ]
}
