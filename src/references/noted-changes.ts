/** A row that a write has changed, as the home node has noted it: texts of JSON, with the texts of its columns. */
export interface Note {
  readonly name: string
  readonly op: string
  readonly depth: number
  readonly old: string | null
  readonly new: string | null
}

/** Changes of one table that one statement can do on a copy. */
export interface NotedChange {
  readonly op: string
  readonly depth: number
  /** The table; of TRUNCATE all of them. */
  readonly path: string
  readonly old?: readonly string[] | undefined
  readonly new?: readonly string[] | undefined
}

interface Group {
  readonly first: Note
  readonly notes: Note[]
  readonly images: Set<string>
}

/**
 * Puts notes together that follow each other and are alike: the database checks unique values and foreign keys of one statement, and
 * may find them hurt between two. A row that is changed twice is changed by two of them.
 *
 * @param pathOf the table of a name, as the copy's node has it
 */
export function notedChanges(notes: readonly Note[], pathOf: (name: string) => string): readonly NotedChange[] {
  const groups: Group[] = []
  for (const note of notes) {
    const last = groups.at(-1)
    const group = last && continues(last, note) ? last : { first: note, notes: [], images: new Set<string>() }
    if (group !== last) groups.push(group)
    group.notes.push(note)
    if (note.new !== null) group.images.add(note.new)
  }
  return groups.map(({ first: { op, depth, name }, notes: own }) => {
    if (op === 'TRUNCATE') return { op, depth, path: [...new Set(own.map((one) => pathOf(one.name)))].join(', ') }
    return { op, depth, path: pathOf(name), ...images('old', own), ...images('new', own) }
  })
}

function continues({ first, images: known }: Group, note: Note): boolean {
  if (first.op !== note.op || first.depth !== note.depth) return false
  if (note.op === 'TRUNCATE') return true
  return first.name === note.name && !(note.old !== null && known.has(note.old))
}

function images(of: 'old' | 'new', notes: readonly Note[]): { readonly [of: string]: readonly string[] } {
  const texts = notes.flatMap((note) => note[of] ?? [])
  return texts.length === 0 ? {} : { [of]: texts }
}

/** Changes as JSON. Their rows are JSON already. */
export const changesText = (changes: readonly NotedChange[]): string =>
  `[${changes.map(({ old, new: after, ...rest }) => withRows(JSON.stringify(rest), { old, new: after })).join(',')}]`

function withRows(object: string, rows: Pick<NotedChange, 'old' | 'new'>): string {
  const lists = Object.entries(rows).flatMap(([name, texts]) => (texts ? [`,"${name}":[${texts.join(',')}]`] : []))
  return `${object.slice(0, -1)}${lists.join('')}}`
}
