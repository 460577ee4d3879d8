import { runShop } from './shop'

void runShop().then(
  () => console.log('ok'),
  (error: unknown) => {
    console.error(error)
    process.exitCode = 1
  },
)
