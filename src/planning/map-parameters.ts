import { copyWith } from '../collections/copy-with'
import { type ArmSource, mapArms } from '../query/arm-source'
import { assertNever, deferred, type ReadPlan, type RoutePlan } from './read-plan'

/** The plan with other parameters: a plan of a shape, with the values of one read. */
export function mapParameters(
  plan: ReadPlan,
  change: (parameters: readonly unknown[]) => readonly unknown[],
): ReadPlan {
  const route = (source: RoutePlan): RoutePlan => ({
    kind: 'route',
    statements: source.statements.map((one) => ({
      node: one.node,
      shards: one.shards,
      text: one.text,
      parameters: change(one.parameters),
    })),
  })
  const arms = (source: ArmSource): ArmSource =>
    mapArms(source, ({ parameters }) => ({ parameters: change(parameters) }))
  switch (plan.kind) {
    case 'route':
      return route(plan)
    case 'merge':
    case 'append':
    case 'finish':
      return withSource(plan, route(plan.source))
    case 'shares':
      return copyWith(plan, {
        source: route(plan.source),
        otherwise: deferred(() => mapParameters(plan.otherwise.get(), change)),
      })
    case 'visit':
      return copyWith(plan, { rows: arms(plan.rows), counted: plan.counted && arms(plan.counted) })
    case 'seek':
      return copyWith(plan, {
        keys: { ...plan.keys, arms: arms(plan.keys.arms) },
        otherwise: deferred(() => mapParameters(plan.otherwise.get(), change)),
      })
    case 'load-by-key':
      return copyWith(plan, { keys: mapParameters(plan.keys, change), arms: arms(plan.arms) })
    case 'project':
      return copyWith(plan, { source: mapParameters(plan.source, change) })
    default:
      return assertNever(plan)
  }
}

/** Keeps the kind of the plan, which `copyWith` forgets of a union. */
const withSource = <Plan extends { readonly source: RoutePlan }>(plan: Plan, source: RoutePlan): Plan =>
  Object.assign({}, plan, { source })
