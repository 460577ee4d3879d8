import { errorCatalogue } from '../src/errors/error-catalogue'

/** What is wrong with the page of errors: each code has its section, with the catalogue's words, and no other is there. */
export const errorReferenceProblems = (markdown: string): readonly string[] => {
  const sections = new Map<string, string>()
  for (const section of markdown.split(/^## /m).slice(1)) {
    const [code = '', ...text] = section.split('\n')
    sections.set(code.trim(), text.join('\n'))
  }
  const problems: string[] = []
  for (const [code, { why, fix, labels }] of Object.entries(errorCatalogue)) {
    const section = sections.get(code)
    if (section === undefined) problems.push(`there is no section "## ${code}"`)
    else
      for (const words of [why, fix, ...labels]) {
        if (!section.includes(words)) problems.push(`the section ${code} does not say: ${words}`)
      }
  }
  for (const code of sections.keys()) {
    if (!(code in errorCatalogue)) problems.push(`the section ${code} is about no error of the catalogue`)
  }
  return problems
}
