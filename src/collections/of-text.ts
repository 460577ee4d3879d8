import { LRUCache } from 'lru-cache'

/** Letters of the texts that a function remembers, and what a text weighs beside its letters. */
const maxLetters = 1_000_000
const lettersOfEntry = 200

/**
 * A pure function of a text that remembers its answers. Programs send few texts, each many times: to find one again costs a
 * tenth of what a regular expression takes that looks for words in some hundred letters.
 *
 * @example const readsTables = ofText((text) => /\bfrom\b/i.test(text))
 */
export function ofText(answer: (text: string) => boolean): (text: string) => boolean {
  const remembered = new LRUCache<string, boolean>({
    maxSize: maxLetters,
    sizeCalculation: (_, text) => text.length + lettersOfEntry,
    memoMethod: answer,
  })
  return remembered.memo.bind(remembered)
}
