/** One listener a signal, however many operations share it: Node warns of a leak at eleven. */
const watchersOf = new WeakMap<AbortSignal, Set<() => void>>()

function tell(this: AbortSignal): void {
  const watchers = watchersOf.get(this) ?? []
  watchersOf.delete(this)
  for (const watcher of watchers) watcher()
}

/** Calls `watcher` once the signal, which has not been, is aborted; the returned function ends that. */
export function onAbort(signal: AbortSignal, watcher: () => void): () => void {
  const known = watchersOf.get(signal)
  const watchers = known ?? new Set()
  watchers.add(watcher)
  if (!known) {
    watchersOf.set(signal, watchers)
    signal.addEventListener('abort', tell, { once: true })
  }
  return () => {
    watchers.delete(watcher)
    if (watchers.size > 0 || watchersOf.get(signal) !== watchers) return
    watchersOf.delete(signal)
    signal.removeEventListener('abort', tell)
  }
}
