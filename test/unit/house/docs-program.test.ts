import { describe, expect, it } from 'vitest'
import { docsPrograms } from '../../../scripts/docs-program'

const page = (...lines: string[]): string => lines.join('\n')

describe('the programs of a page', () => {
  it('makes each block one program, its lines where the page has them', () => {
    const text = page('# Start', '```ts', 'const a = 1', '```', 'and', '```ts', 'const b = 2', '```')
    expect(docsPrograms('docs/start.md', text)).toEqual([
      { place: 'docs/start.md:3', name: 'docs-start-md-3', source: '\n\nconst a = 1\n', runs: true },
      { place: 'docs/start.md:7', name: 'docs-start-md-7', source: '\n\n\n\n\n\nconst b = 2\n', runs: true },
    ])
  })

  it('appends a block that continues to the one before', () => {
    const text = page('```ts', 'const a = 1', '```', '```ts', '// continues', 'a.toFixed()', '```')
    expect(docsPrograms('a.md', text).map(({ source }) => source)).toEqual([
      '\nconst a = 1\n\n\n// continues\na.toFixed()\n',
    ])
  })

  it('does not run a block that says no-run, nor what it is a part of', () => {
    const text = page('```ts no-run', 'a()', '```', '```ts', 'b()', '```', '```ts no-run', '// continues', '```')
    expect(docsPrograms('a.md', text).map(({ runs }) => runs)).toEqual([false, false])
  })

  it('leaves other languages alone', () => {
    expect(docsPrograms('a.md', page('```tsx', 'x', '```', '```sh', 'ls', '```'))).toEqual([])
  })

  it('refuses a block that continues nothing, and one without end', () => {
    expect(() => docsPrograms('a.md', page('```ts', '// continues', '```'))).toThrow('a.md:2: there is no block')
    expect(() => docsPrograms('a.md', page('', '```ts', 'a()'))).toThrow('a.md:2: the block has no end')
  })
})
