import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { errorReferenceProblems } from '../../../scripts/error-reference'

const markdown = readFileSync(join(__dirname, '..', '..', '..', 'docs', 'reference', 'errors.md'), 'utf8')

describe('the page of errors', () => {
  it('fits the catalogue', () => {
    expect(errorReferenceProblems(markdown)).toEqual([])
  })

  it('is found wrong where a section is missing, unknown, or says other words', () => {
    const wrong = markdown
      .replace('## KEY_MISSING', '## KEY_MISLAID')
      .replace('Write it through the repository, which finds the shard.', 'Try again.')
    expect(errorReferenceProblems(wrong)).toEqual([
      'there is no section "## KEY_MISSING"',
      'the section WRONG_SHARD does not say: Write it through the repository, which finds the shard.',
      'the section KEY_MISLAID is about no error of the catalogue',
    ])
  })
})
