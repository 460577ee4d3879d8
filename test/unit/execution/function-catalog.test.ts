import { describe, expect, it } from 'vitest'
import { type AskNode, FunctionCatalog } from '../../../src/execution/function-catalog'

const row = (name: string, more: object = {}) => ({
  name,
  kind: 'f',
  volatility: 'i',
  set: false,
  least: 1,
  most: 1,
  builtIn: false,
  safe: true,
  columns: null,
  open: false,
  signature: `public.${name}(integer)`,
  body: 'x',
  ...more,
})

describe('what nodes say of functions', () => {
  const answers: Record<string, ReturnType<typeof row>[]> = {
    a: [row('f'), row('lower', { builtIn: true, signature: '', body: '' })],
    b: [row('f', { volatility: 'v' }), row('list_of', { kind: 'a' })],
  }
  const asked: string[] = []
  const ask: AskNode = async (node, _, [names]) => {
    asked.push(node)
    if (node === 'c') throw new Error('c is down')
    return { rows: (answers[node] ?? []).filter(({ name }) => !Array.isArray(names) || names.includes(name)) }
  }
  const catalog = () => {
    asked.length = 0
    return new FunctionCatalog(new Map([...'cab'].map((node) => [node, '18'])), ask)
  }

  it('is asked of the first that answers, and of all that take part, each once', async () => {
    const functions = catalog()
    await functions.ofAny()
    await functions.ofAny()
    expect(asked).toEqual(['c', 'a'])
    expect(functions.overloads('list_of')).toEqual([])
    const before = functions.version
    await functions.of(['a', 'b'])
    await functions.of(['b'])
    expect(asked).toEqual(['c', 'a', 'b'])
    expect(functions.version).toBeGreaterThan(before)
    expect(functions.overloads('list_of').map(({ kind }) => kind)).toEqual(['aggregate'])
    expect(functions.overloads('f').map(({ volatility }) => volatility)).toEqual(['immutable', 'volatile'])
  })

  it('is asked again of a name that none had, and of a node that did not answer', async () => {
    const functions = catalog()
    await functions.ofAny()
    answers['a']?.push(row('later'))
    await functions.lookFor(['later', 'lower'])
    expect(functions.overloads('later')).toHaveLength(1)
    await expect(functions.of(['c'])).rejects.toThrow('c is down')
    await expect(functions.of(['c'])).rejects.toThrow('c is down')
  })
})
