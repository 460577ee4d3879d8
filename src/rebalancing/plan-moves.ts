/** What is balanced: of shards their number, rows, bytes, or the milliseconds of their statements. */
export type BalanceMeasure = 'rows' | 'bytes' | 'load' | 'count'

/** What a node may hold at the most, of shards that are moved to it. */
export interface NodeCapacity {
  readonly rows?: number
  readonly bytes?: number
}

/** A node as a plan sees it. */
export interface PlannedNode {
  readonly name: string
  /** Its part against the other weights. A node of weight 0 gives its shards away. */
  readonly weight: number
  readonly capacity?: NodeCapacity | undefined
  /** It gives all of its shards away; no other node gives one. */
  readonly isDrained?: boolean
}

/** A shard as a plan sees it. */
export interface PlannedShard {
  readonly name: string
  readonly node: string
  /** Shards of one unit stay together if they lie together. */
  readonly unit: string
  readonly rows: number
  readonly bytes: number
  /** Milliseconds of its statements. */
  readonly load: number
  /** Why it cannot move; undefined: it can. */
  readonly fixed?: string | undefined
}

export interface PlanInput {
  readonly by: BalanceMeasure
  /** A node may have so much more than its due: 0.1 is a tenth. */
  readonly threshold: number
  readonly epoch: number
  readonly nodes: readonly PlannedNode[]
  readonly shards: readonly PlannedShard[]
  /** A plan has no more moves. */
  readonly maxMoves: number
}

/** How even the nodes are. A step of a plan lowers `leaving`, or `imbalance` with the same `leaving`. */
export interface Balance {
  /** Shards on nodes that give theirs away. */
  readonly leaving: number
  /** The mean of the squares of what nodes have beside their due, weighted by it: 0 is even. */
  readonly imbalance: number
  /** The greatest value of a node against its due: 1 is even. */
  readonly skew: number
}

/** A move of one shard. */
export interface PlannedMove {
  readonly shard: string
  readonly from: string
  readonly to: string
  /** Moves of one step belong together: of shards that stay together. */
  readonly step: number
  readonly reason: string
  readonly rows: number
  readonly bytes: number
  /** Before its step, and after it. */
  readonly before: Balance
  readonly after: Balance
}

/** A shard that is to leave its node and cannot. */
export interface KeptShard {
  readonly shard: string
  readonly node: string
  readonly reason: string
}

/** Moves as data: frozen, and the same for the same input. */
export interface MovePlan {
  readonly by: BalanceMeasure
  readonly threshold: number
  /** Of the shard map that it was made of. */
  readonly epoch: number
  readonly moves: readonly PlannedMove[]
  readonly kept: readonly KeptShard[]
  readonly before: Balance
  readonly after: Balance
  /** After all moves: no node has more than the threshold allows, and none has shards to give away. */
  readonly isBalanced: boolean
}

/** What one more move costs beside its bytes, as bytes: its tables, its slot, its switch. */
const moveBytes = 16 * 1024 ** 2

/** Shards that move together. */
interface Unit {
  readonly shards: readonly PlannedShard[]
  readonly from: string
  readonly value: number
  readonly rows: number
  readonly bytes: number
  readonly fixed: string | undefined
}

/** A node while moves are planned. */
interface Place {
  readonly node: PlannedNode
  /** The part of all that is due to it. */
  readonly due: number
  readonly reasonToLeave: string | undefined
  readonly order: number
  value: number
  shards: number
  rows: number
  bytes: number
}

interface Step {
  readonly unit: Unit
  readonly to: Place
  readonly score: number
}

/**
 * Plans moves that make nodes even: greedily, of the node with the most above its due the move that improves most per byte. Nothing moves
 * where no node has more than the threshold allows. Every step improves the balance; no shard moves twice.
 *
 * @example
 * planMoves({ by: 'bytes', threshold: 0.1, epoch: 1, nodes, shards, maxMoves: 100 }).moves[0] // { shard: 'user_03', from: 'a', to: 'c', … }
 */
export function planMoves(input: PlanInput): MovePlan {
  const planner = new Planner(input)
  const { by, threshold, epoch } = input
  const before = planner.balance()
  const moves = planner.plan()
  const after = planner.balance()
  const kept = planner.kept()
  const isBalanced = after.leaving === 0 && after.skew <= 1 + threshold + tolerance
  return Object.freeze({ by, threshold, epoch, moves, kept, before, after, isBalanced })
}

class Planner {
  private readonly places: readonly Place[]
  private readonly total: number
  /** By node, what may still move from it. */
  private readonly units: ReadonlyMap<string, Unit[]>
  private readonly isDraining: boolean

  constructor(private readonly input: PlanInput) {
    const units = unitsOf(input)
    this.places = placesOf(input, units)
    this.total = units.reduce((sum, { value }) => sum + value, 0)
    this.isDraining = input.nodes.some(({ isDrained }) => isDrained)
    this.units = new Map(input.nodes.map(({ name }) => [name, units.filter(({ from }) => from === name)]))
  }

  plan(): readonly PlannedMove[] {
    const moves: PlannedMove[] = []
    for (let step = 1; ; step++) {
      const next = this.nextStep()
      if (!next || moves.length + next.unit.shards.length > this.input.maxMoves) return Object.freeze(moves)
      const from = this.placeOf(next.unit.from)
      const reason = this.reasonOf(from, next.to)
      const before = this.balance()
      this.take(from, next)
      const after = this.balance()
      for (const { name: shard, rows, bytes } of next.unit.shards)
        moves.push(
          Object.freeze({
            shard,
            from: from.node.name,
            to: next.to.node.name,
            step,
            reason,
            rows,
            bytes,
            before,
            after,
          }),
        )
    }
  }

  balance(): Balance {
    const leaving = this.places.reduce((sum, { reasonToLeave, shards }) => (reasonToLeave ? sum + shards : sum), 0)
    const staying = this.places.filter(({ due }) => due > 0)
    const imbalance = staying.reduce((sum, { due, value }) => sum + this.unevenness(due, value), 0)
    const skew = this.total === 0 ? 1 : Math.max(0, ...staying.map(({ due, value }) => value / (due * this.total)))
    return Object.freeze({ leaving, imbalance, skew })
  }

  kept(): readonly KeptShard[] {
    const leaving = this.places.filter(({ reasonToLeave }) => reasonToLeave)
    return Object.freeze(
      leaving.flatMap(({ node }) =>
        this.unitsOn(node.name).flatMap(({ shards, fixed = 'no node has room for it' }) =>
          shards.map(({ name: shard }) => Object.freeze({ shard, node: node.name, reason: fixed })),
        ),
      ),
    )
  }

  /** Nodes that give all away come first; then the one with the most above its due from which a move improves anything. */
  private nextStep(): Step | undefined {
    for (const from of this.places) {
      const step = from.reasonToLeave ? this.leavingStep(from) : undefined
      if (step) return step
    }
    if (this.isDraining) return undefined
    const over = this.places.filter((place) => this.isOver(place))
    over.sort((a, b) => b.value / b.due - a.value / a.due || a.order - b.order)
    for (const from of over) {
      const step = this.evenStep(from)
      if (step) return step
    }
    return undefined
  }

  private isOver({ due, value, reasonToLeave }: Place): boolean {
    return !reasonToLeave && value > due * this.total * (1 + this.input.threshold + tolerance)
  }

  /** The largest first: the smaller ones then make even what these have left uneven. */
  private leavingStep(from: Place): Step | undefined {
    const units = this.unitsOn(from.node.name)
      .filter(({ fixed }) => fixed === undefined)
      .sort((a, b) => b.value - a.value || b.bytes - a.bytes || compareNames(a, b))
    for (const unit of units) {
      const to = this.targets(from, unit).sort(
        (a, b) =>
          (a.value + unit.value) / a.due - (b.value + unit.value) / b.due ||
          a.shards / a.due - b.shards / b.due ||
          a.order - b.order,
      )[0]
      if (to) return { unit, to, score: 0 }
    }
    return undefined
  }

  private evenStep(from: Place): Step | undefined {
    let best: Step | undefined
    for (const unit of this.unitsOn(from.node.name)) {
      if (unit.fixed !== undefined || unit.value === 0) continue
      for (const to of this.targets(from, unit)) {
        const gain = this.gainOf(from, to, unit.value)
        if (gain <= tolerance) continue
        const score = gain / (unit.bytes + moveBytes * unit.shards.length)
        if (!best || score > best.score || (score === best.score && isBefore({ unit, to }, best)))
          best = { unit, to, score }
      }
    }
    return best
  }

  /** By how much a move lowers the imbalance. */
  private gainOf(from: Place, to: Place, value: number): number {
    const now = this.unevenness(from.due, from.value) + this.unevenness(to.due, to.value)
    return now - this.unevenness(from.due, from.value - value) - this.unevenness(to.due, to.value + value)
  }

  private unevenness(due: number, value: number): number {
    return this.total === 0 ? 0 : due * (value / (due * this.total) - 1) ** 2
  }

  private targets(from: Place, unit: Unit): Place[] {
    return this.places.filter((place) => place !== from && place.due > 0 && hasRoom(place, unit))
  }

  private take(from: Place, { unit, to }: Step): void {
    const own = this.unitsOn(from.node.name)
    own.splice(own.indexOf(unit), 1)
    change(from, unit, -1)
    change(to, unit, 1)
  }

  private reasonOf(from: Place, to: Place): string {
    const { by } = this.input
    if (from.reasonToLeave) return from.reasonToLeave
    const part = ({ value }: Place): string => percent(value / this.total)
    return `node ${from.node.name} has ${part(from)} of ${measured[by]}, and ${percent(from.due)} are due to it; node ${to.node.name} has ${part(to)} of ${percent(to.due)}`
  }

  private unitsOn(node: string): Unit[] {
    return this.units.get(node) ?? []
  }

  private placeOf(name: string): Place {
    const place = this.places.find(({ node }) => node.name === name)
    if (place) return place
    throw new RangeError(`There is no node ${name}.`)
  }
}

/** Sums and parts are not exact in floating point: less than this is no difference. */
const tolerance = 1e-12

const measured: Readonly<Record<BalanceMeasure, string>> = {
  rows: 'the rows',
  bytes: 'the bytes',
  load: 'the time of statements',
  count: 'the shards',
}

const percent = (part: number): string => `${Math.round(part * 100)} %`

const sumOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0)

const nameOf = ({ shards }: Unit): string => shards[0]?.name ?? ''

const compareNames = (a: Unit, b: Unit): number => (nameOf(a) < nameOf(b) ? -1 : 1)

const isBefore = (a: Omit<Step, 'score'>, b: Omit<Step, 'score'>): boolean =>
  a.unit === b.unit
    ? a.to.order < b.to.order
    : a.unit.bytes < b.unit.bytes || (a.unit.bytes === b.unit.bytes && compareNames(a.unit, b.unit) < 0)

function hasRoom({ node: { capacity }, rows, bytes }: Place, unit: Unit): boolean {
  const { rows: mostRows = Number.POSITIVE_INFINITY, bytes: mostBytes = Number.POSITIVE_INFINITY } = capacity ?? {}
  return rows + unit.rows <= mostRows && bytes + unit.bytes <= mostBytes
}

function change(place: Place, { value, rows, bytes, shards }: Unit, sign: 1 | -1): void {
  place.value += sign * value
  place.rows += sign * rows
  place.bytes += sign * bytes
  place.shards += sign * shards.length
}

/** Shards of a unit that lie together are one; a unit that is apart is as many as it has shards. One that cannot move holds its unit. */
function unitsOf({ by, shards }: PlanInput): readonly Unit[] {
  const byUnit = new Map<string, PlannedShard[]>()
  for (const shard of shards) byUnit.set(shard.unit, [...(byUnit.get(shard.unit) ?? []), shard])
  return [...byUnit.values()].flatMap((unit) => {
    const isTogether = unit.every(({ node }) => node === unit[0]?.node)
    return isTogether ? [unitOf(by, unit)] : unit.map((shard) => unitOf(by, [shard]))
  })
}

function unitOf(by: BalanceMeasure, shards: readonly PlannedShard[]): Unit {
  return {
    shards,
    from: shards[0]?.node ?? '',
    value: by === 'count' ? shards.length : sumOf(shards.map((shard) => shard[by])),
    rows: sumOf(shards.map(({ rows }) => rows)),
    bytes: sumOf(shards.map(({ bytes }) => bytes)),
    fixed: shards.find(({ fixed }) => fixed !== undefined)?.fixed,
  }
}

function placesOf({ nodes }: PlanInput, units: readonly Unit[]): readonly Place[] {
  const isDraining = nodes.some(({ isDrained }) => isDrained)
  const staying = nodes.filter(({ isDrained }) => !isDrained)
  const total = sumOf(staying.map(({ weight }) => weight))
  // Where only nodes of weight 0 are left to take the shards of one that is drained, they take them evenly.
  const dueOf = ({ isDrained, weight }: PlannedNode): number => {
    if (isDrained) return 0
    return total > 0 ? weight / total : isDraining ? 1 / staying.length : 0
  }
  return nodes.map((node, order) => {
    const due = dueOf(node)
    const place: Place = {
      node,
      due,
      order,
      reasonToLeave: leaves(node, due, isDraining),
      value: 0,
      shards: 0,
      rows: 0,
      bytes: 0,
    }
    for (const unit of units) if (unit.from === node.name) change(place, unit, 1)
    return place
  })
}

function leaves({ name, isDrained }: PlannedNode, due: number, isDraining: boolean): string | undefined {
  if (isDrained) return `node ${name} gives all of its shards away`
  return due === 0 && !isDraining ? `node ${name} has the weight 0` : undefined
}
