/** Appends items to a list of any length: as arguments of `push` a hundred thousand of them overflow the stack. */
export function pushAll<T>(list: T[], items: Iterable<T>): void {
  for (const item of items) list.push(item)
}
