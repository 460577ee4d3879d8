/** What the sharding does not answer yet, and the code with which it refuses. What is answered has to leave this list. */
export const notYet: Readonly<Record<string, string>> = {}
