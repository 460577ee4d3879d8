import { LRUCache } from 'lru-cache'

/** Longer texts are looked at each time: they are of bulk statements, which rarely come back. */
const maxLetters = 4_000

const maxTexts = 1_000

/**
 * A pure function of a text that remembers its answers. Programs send few texts, each many times: to find one again costs a
 * tenth of what a regular expression takes that looks for words in some hundred letters.
 *
 * @example const readsTables = ofText((text) => /\bfrom\b/i.test(text))
 */
export function ofText(answer: (text: string) => boolean): (text: string) => boolean {
  const remembered = new LRUCache<string, boolean>({ max: maxTexts })
  return (text) => {
    if (text.length > maxLetters) return answer(text)
    const known = remembered.get(text)
    if (known !== undefined) return known
    const told = answer(text)
    remembered.set(text, told)
    return told
  }
}
