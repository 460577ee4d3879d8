import type { Readable } from 'node:stream'
import { Brackets, type EntityManager, NotBrackets, type ObjectLiteral, type SelectQueryBuilder } from 'typeorm'
import { type Data, type DataObject, decode } from './data'
import { type EntityName, entities } from './entities'
import type { Build } from './operation'
import { describe } from './outcome'

/** A query builder of any kind: what is called on it is named in the case. */
type Builder = Record<string, (...args: unknown[]) => unknown>
type Select = SelectQueryBuilder<ObjectLiteral>

/** Makes a query builder by its steps, and runs it. */
export async function applyBuild(manager: EntityManager, { entity, alias, steps, method }: Build): Promise<unknown> {
  const start = manager.getRepository(entities[entity]).createQueryBuilder(alias)
  const builder = take(start, steps, manager)
  const result = await call(builder, method, [])
  return describe(method === 'stream' ? await rowsOf(result as Readable) : result)
}

async function rowsOf(stream: Readable): Promise<unknown[]> {
  const rows: unknown[] = []
  for await (const row of stream) rows.push(row)
  return rows
}

function take(start: unknown, steps: readonly Data[], manager: EntityManager): unknown {
  return steps.reduce<unknown>((builder, step) => {
    const [method, ...args] = step as readonly Data[]
    return call(
      builder,
      String(method),
      args.map((argument) => argumentOf(argument, manager)),
    )
  }, start)
}

function call(builder: unknown, method: string, args: readonly unknown[]): unknown {
  const named = (builder as Builder)[method]
  if (typeof named !== 'function') throw new RangeError(`A query builder has no ${method}.`)
  return named.apply(builder, [...args])
}

/**
 * What `decode` gives, and what only query builders take: `{ $: 'entity', entity }`, `{ $: 'brackets' | 'not-brackets', of }`,
 * `{ $: 'nested', prefix, suffix, of }` (a function that gives SQL with a subquery in it), `{ $: 'select-from', of }` (a function
 * that makes a subquery of the one that it is given) and `{ $: 'builder', entity, alias, of }` (a builder of its own).
 */
function argumentOf(data: Data, manager: EntityManager): unknown {
  if (data === null || typeof data !== 'object' || Array.isArray(data)) return decode(data)
  const { $: tag, of, ...rest } = data as DataObject
  const steps = (of ?? []) as readonly Data[]
  switch (tag) {
    case 'entity':
      return entityOf(rest['entity'])
    case 'brackets':
      return new Brackets((inner) => void take(inner, steps, manager))
    case 'not-brackets':
      return new NotBrackets((inner) => void take(inner, steps, manager))
    case 'nested':
      return (outer: Select) => {
        const inner = take(outer.subQuery(), steps, manager) as Select
        return `${String(rest['prefix'])} ${inner.getQuery()} ${String(rest['suffix'])}`.trim()
      }
    case 'select-from':
      return (inner: Select) => take(inner, steps, manager)
    case 'builder':
      return take(
        manager.getRepository(entityOf(rest['entity'])).createQueryBuilder(String(rest['alias'])),
        steps,
        manager,
      )
    default:
      return decode(data)
  }
}

function entityOf(name: Data | undefined): (typeof entities)[EntityName] {
  return entities[name as EntityName]
}
