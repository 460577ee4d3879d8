import { describe, expect, it } from 'vitest'
import { missingStatements, type StructureObject, structureDifferences } from '../../../src/rebalancing/shard-structure'

const object = (kind: StructureObject['kind'], name: string, make = `make ${name}`): StructureObject => ({
  kind,
  name,
  make,
  unmake: kind === 'grant' ? `revoke ${name}` : null,
})

const source = [
  object('grant', 'to reader'),
  object('index', 'i'),
  object('foreign key', 'f'),
  object('table', 't'),
  object('type', 'e'),
  object('trigger state', 's'),
  object('owner', 't', 'owner x'),
]

describe('what a target lacks', () => {
  it('is made in the order of the kinds, each in its phase', () => {
    expect(missingStatements(source, [], 'before-copy')).toEqual(['make e', 'make t'])
    expect(missingStatements(source, [], 'after-copy')).toEqual(['make i', 'make f', 'owner x', 'make to reader'])
    expect(missingStatements(source, [], 'after-switch')).toEqual(['make s'])
  })

  it('is nothing where all of it is there', () => {
    expect(missingStatements(source, source, 'after-copy')).toEqual([])
  })

  it('is set anew where it is another one, and grants of the database itself are taken away', () => {
    const target = [
      object('owner', 't', 'owner y'),
      object('index', 'i'),
      object('foreign key', 'f'),
      object('grant', 'to all'),
    ]
    expect(missingStatements(source, target, 'after-copy')).toEqual(['owner x', 'revoke to all', 'make to reader'])
  })
})

describe('what differs', () => {
  it('is missing, another one or new; what is made after the switch does not count', () => {
    const target = [
      object('table', 't', 'make t otherwise'),
      object('type', 'e'),
      object('index', 'i2'),
      object('owner', 't', 'owner x'),
    ]
    expect(structureDifferences(source, target)).toEqual([
      'grant to reader is missing',
      'index i is missing',
      'foreign key f is missing',
      'table t is another one: make t otherwise',
      'index i2 is new',
    ])
  })

  it('is nothing between like structures', () => {
    expect(
      structureDifferences(
        source,
        source.filter(({ kind }) => kind !== 'trigger state'),
      ),
    ).toEqual([])
  })
})
