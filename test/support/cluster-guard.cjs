/**
 * Watches over one cluster from a process of its own. Its standard input is a pipe to the process that started the
 * cluster: when that pipe closes (normal end, Ctrl-C, a crash, SIGKILL), the server is stopped and its folder removed.
 */
const { readFileSync, rmSync } = require('node:fs')
const { join } = require('node:path')

const [, , folder] = process.argv

const postmaster = () => {
  try {
    return Number(readFileSync(join(folder, 'data', 'postmaster.pid'), 'utf8').split('\n')[0])
  } catch {
    return undefined
  }
}

const isAlive = (pid) => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

const signal = (pid, name) => {
  try {
    process.kill(pid, name)
  } catch {
    // It is gone already.
  }
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

const cleanUp = async () => {
  const pid = postmaster()
  if (pid !== undefined) {
    signal(pid, 'SIGQUIT')
    const deadline = Date.now() + 10_000
    while (isAlive(pid) && Date.now() < deadline) await sleep(20)
    if (isAlive(pid)) signal(pid, 'SIGKILL')
  }
  rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })
  process.exit(0)
}

// Ctrl-C reaches the whole group of processes: the guard waits for the pipe all the same.
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(name, () => {})
process.stdin.on('end', cleanUp).on('error', cleanUp).resume()
