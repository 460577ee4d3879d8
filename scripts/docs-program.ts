/** The TypeScript blocks of one page that make one program. */
export interface DocsProgram {
  /** `page:line` of its first block, to point at. */
  readonly place: string
  /** A file name made from the place. */
  readonly name: string
  /** The blocks, each at the line it has on the page, so that messages of the compiler fit the page. */
  readonly source: string
  /** False: type-checked only. */
  readonly runs: boolean
}

interface Block {
  readonly line: number
  readonly code: readonly string[]
  readonly runs: boolean
}

const fence = /^```(?:ts|typescript)(?:\s+(no-run))?\s*$/
const continues = /^\/\/ continues\b/

/**
 * Reads the programs of a page. Each block fenced as `ts` is a program of its own, unless its first line is
 * `// continues`: then it goes on where the block before it ended. A block fenced as `ts no-run` is not run.
 */
export const docsPrograms = (page: string, markdown: string): readonly DocsProgram[] => {
  const programs: Block[][] = []
  for (const block of blocksOf(page, markdown)) {
    const previous = programs.at(-1)
    if (!continues.test(block.code[0] ?? '')) programs.push([block])
    else if (previous === undefined) throw new Error(`${page}:${block.line}: there is no block to continue`)
    else previous.push(block)
  }
  return programs.map((blocks) => programOf(page, blocks))
}

const blocksOf = (page: string, markdown: string): readonly Block[] => {
  const blocks: Block[] = []
  const lines = markdown.split('\n')
  for (let at = 0; at < lines.length; at += 1) {
    const opening = fence.exec(lines[at] ?? '')
    if (opening === null) continue
    const end = lines.indexOf('```', at + 1)
    if (end === -1) throw new Error(`${page}:${at + 1}: the block has no end`)
    blocks.push({ line: at + 2, code: lines.slice(at + 1, end), runs: opening[1] === undefined })
    at = end
  }
  return blocks
}

const programOf = (page: string, blocks: readonly Block[]): DocsProgram => {
  const lines: string[] = []
  for (const { line, code } of blocks) {
    while (lines.length < line - 1) lines.push('')
    lines.push(...code)
  }
  const first = blocks[0]?.line ?? 1
  return Object.freeze({
    place: `${page}:${first}`,
    name: `${page.replace(/[^\w]+/g, '-')}-${first}`,
    source: `${lines.join('\n')}\n`,
    runs: blocks.every(({ runs }) => runs),
  })
}
