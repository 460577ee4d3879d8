import type { Finding } from './script-run'

const examplesEach = 2
const maxText = 600

const oneLine = (text: string): string => {
  const line = text
    .replaceAll(/--[^\n]*/g, '')
    .replaceAll(/\s+/g, ' ')
    .trim()
  return line.length > maxText ? `${line.slice(0, maxText)}…` : line
}

/** The reason without names and numbers, so that equal reasons are counted together. */
const reasonKind = (reason: string): string =>
  reason
    .replaceAll(/"[^"]*"|'[^']*'|`[^`]*`/g, '…')
    .replaceAll(/\d+/g, 'n')
    .slice(0, 220)

function groupOf({ verdict }: Finding): string {
  if (verdict.kind === 'refused') return `${verdict.code}: ${reasonKind(verdict.reason)}`
  if (verdict.kind === 'same error') return `same error: ${verdict.code}`
  if (verdict.kind === 'left out') return `left out: ${reasonKind(verdict.why)}`
  if (verdict.kind === 'undetermined') return `undetermined: ${verdict.why.split(':')[0]}`
  return verdict.kind
}

const countsOf = (
  findings: readonly Finding[],
  by: (finding: Finding) => string,
): readonly (readonly [string, Finding[]])[] => {
  const groups = new Map<string, Finding[]>()
  for (const finding of findings) groups.set(by(finding), [...(groups.get(by(finding)) ?? []), finding])
  return [...groups].sort(([, left], [, right]) => right.length - left.length)
}

const percent = (part: number, whole: number): string => `${((100 * part) / Math.max(whole, 1)).toFixed(1)} %`

/** What was found, grouped and counted. */
export function* comparisonLines(findings: readonly Finding[]): Generator<string> {
  const compared = findings.filter(({ verdict }) => !['left out', 'same error', 'undetermined'].includes(verdict.kind))
  yield `${findings.length} statements; ${compared.length} compared with a determined answer`
  for (const kind of ['all', 'select', 'modifying WITH', 'insert … select']) {
    const some = compared.filter((finding) => kind === 'all' || finding.kind === kind)
    const count = (verdict: string): number => some.filter((finding) => finding.verdict.kind === verdict).length
    yield `  ${kind}: ${some.length}; exact ${count('exact')} (${percent(count('exact'), some.length)}), refused ${count('refused')}, wrong ${count('wrong')}`
  }
  yield ''
  for (const [group, members] of countsOf(findings, groupOf)) {
    yield `${members.length} × ${group}`
    if (members[0]?.verdict.kind === 'exact' || members[0]?.verdict.kind === 'wrong') continue
    for (const { file, line, text } of members.slice(0, examplesEach)) yield `    ${file}:${line} ${oneLine(text)}`
  }
  for (const [title, kind] of [
    ['WRONG', 'wrong'],
    ['UNDETERMINED, and not reached by one database', 'undetermined'],
  ] as const) {
    yield `\n${title}`
    for (const { file, line, text, verdict } of findings)
      if (verdict.kind === kind && (kind === 'wrong' || verdict.why.startsWith('varies')))
        yield `  ${file}:${line} ${oneLine(text)}\n      ${'why' in verdict ? verdict.why.slice(0, 800) : ''}`
  }
}
