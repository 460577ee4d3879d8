import { Permits } from '../../endpoints/permits'

const maxNodesAtOnce = 16

/** Does some work for every node, several at once. @throws the first failure, when all have ended */
export async function forNodes<N, T>(nodes: Iterable<N>, work: (node: N) => Promise<T>): Promise<readonly T[]> {
  const turns = new Permits('any', maxNodesAtOnce)
  const inTurn = async (node: N): Promise<T> => {
    const leave = await turns.take()
    return work(node).finally(leave)
  }
  const settled = await Promise.allSettled([...nodes].map(inTurn))
  return settled.map((one) => {
    if (one.status === 'rejected') throw one.reason
    return one.value
  })
}
