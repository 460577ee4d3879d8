import { LRUCache } from 'lru-cache'
import { pushTo } from '../collections/push-to'
import type { Arm, ArmSource } from '../query/arm-source'
import type { ArmOrder } from '../query/order-term'
import { maxParameters } from '../sql/max-parameters'
import { bindShardNames, passedOver } from './bind-shard-names'

/** The most arms in one statement; a node with more shards in the route gets several statements. */
export const maxArms = 128

export interface ScatterShape {
  readonly order?: readonly ArmOrder[]
  /** Rows that the whole scatter needs: skip + take. */
  readonly limit?: number | undefined
  /** Rows that a statement leaves out by itself, of those within the limit, where it is the only one and unites arms. */
  readonly offset?: number
  /** All arms have equal parameters of equal types, so that one list serves them all. */
  readonly sharedParameters: boolean
  /** The most arms in one text; default `maxArms`. */
  readonly maxArms?: number
}

/** What is sent to one node: frozen, printable. */
export interface NodeStatement {
  readonly node: string
  readonly shards: readonly string[]
  readonly text: string
  readonly parameters: readonly unknown[]
}

/**
 * One statement a node: `(arm) UNION ALL (arm) … ORDER BY … LIMIT k`. Each arm keeps its own ORDER BY and LIMIT, so that
 * PostgreSQL reads k rows of each and merges. A node with more than `maxArms` shards gets several statements.
 */
export function buildNodeStatements(arms: readonly Arm[], shape: ScatterShape): readonly NodeStatement[] {
  const byNode = new Map<string, Arm[]>()
  for (const arm of arms) pushTo(byNode, arm.shard.node, arm)
  const statements: NodeStatement[] = []
  const all = Array.from(byNode, ([node, nodeArms]) =>
    [...chunks(nodeArms, shape)].map((chunk) => ({ node, chunk })),
  ).flat()
  for (const { node, chunk } of all)
    statements.push(buildStatement(node, chunk, all.length > 1 ? { ...shape, offset: 0 } : shape))
  return Object.freeze(statements)
}

/** As `buildNodeStatements`, of all arms of a source. */
export const routeArms = (
  { arms, sharedParameters }: ArmSource,
  shape: Omit<ScatterShape, 'sharedParameters' | 'maxArms'> = {},
): readonly NodeStatement[] => buildNodeStatements(arms, { ...shape, sharedParameters })

/** True where the offset of the shape is in the statement, and so not left to whoever reads the rows. */
export const skipsByItself = (statements: readonly NodeStatement[]): boolean =>
  statements.length === 1 && (statements[0]?.shards.length ?? 0) > 1

function* chunks(arms: readonly Arm[], shape: ScatterShape): Generator<readonly Arm[]> {
  let chunk: Arm[] = []
  let parameters = 0
  for (const arm of arms) {
    const more = shape.sharedParameters ? 0 : arm.parameters.length
    if (chunk.length > 0 && (chunk.length === (shape.maxArms ?? maxArms) || parameters + more > maxParameters)) {
      yield chunk
      chunk = []
      parameters = 0
    }
    chunk.push(arm)
    parameters += more
  }
  if (chunk.length > 0) yield chunk
}

function buildStatement(node: string, arms: readonly Arm[], shape: ScatterShape): NodeStatement {
  const { sharedParameters } = shape
  const [first] = arms
  const end = endOf(shape)
  const unite = () => uniteArms(arms, sharedParameters, end)
  const isTemplate = sharedParameters && arms.every(({ text }) => text === first?.text)
  const parameters = sharedParameters ? [...(first?.parameters ?? [])] : arms.flatMap((arm) => arm.parameters)
  return Object.freeze({
    node,
    shards: Object.freeze(arms.map((arm) => arm.shard.name)),
    text: isTemplate ? textOfTemplate(arms, end, unite) : unite(),
    parameters: Object.freeze(parameters),
  })
}

/** Letters of remembered texts, keys included, at most: one of eight arms has some ten thousand. */
const maxRemembered = 8_000_000

const remembered = new LRUCache<string, string>({
  maxSize: maxRemembered,
  sizeCalculation: (text, key) => text.length + key.length,
})

/**
 * The text of a statement whose arms are one template over several shards. The same template over the same shards gives the same
 * text: to make it anew costs more than to find it.
 *
 * @param form what the text depends on besides
 */
export function textOfTemplate(arms: readonly Arm[], form: string, make: () => string): string {
  const places = arms.map(({ shard }) => `${shard.node} ${shard.name} ${shard.layout} ${shard.label} ${shard.index}`)
  const key = [form, ...places, arms[0]?.text].join('\n')
  const known = remembered.get(key)
  if (known !== undefined) return known
  const made = make()
  remembered.set(key, made)
  return made
}

function uniteArms(arms: readonly Arm[], sharedParameters: boolean, end: string): string {
  let offset = 0
  const texts = arms.map(({ text, shard, parameters }) => {
    const bound = renumberParameters(bindShardNames(text, shard), offset)
    if (!sharedParameters) offset += parameters.length
    return bound
  })
  const [only = '', another] = texts
  return another === undefined ? only : `${texts.map((text) => `(${text})`).join(' UNION ALL ')}${end}`
}

/** What follows the arms: the order and the cut of all of them. */
function endOf({ order = [], limit, offset = 0 }: ScatterShape): string {
  const terms = order.map(
    ({ column, descending, nullsFirst }) =>
      `"${column}" ${descending ? 'DESC' : 'ASC'} NULLS ${nullsFirst ? 'FIRST' : 'LAST'}`,
  )
  return [
    terms.length > 0 ? ` ORDER BY ${terms.join(', ')}` : '',
    limit === undefined ? '' : ` LIMIT ${limit - offset}`,
    offset > 0 ? ` OFFSET ${offset}` : '',
  ].join('')
}

const parameter = new RegExp(String.raw`(?<![\p{L}\p{N}_$])\$(\d+)|${passedOver}`, 'gu')

/** Shifts `$1, $2 …` by `offset`, leaving literals, identifiers and comments as they are. */
export function renumberParameters(text: string, offset: number): string {
  if (offset === 0) return text
  return text.replace(parameter, (found: string, number: string | undefined) =>
    number === undefined ? found : `$${Number(number) + offset}`,
  )
}
