import { Metrics } from './metrics-sdk.js'

const metrics = await Metrics.connect(process.env.SOCKET ?? '/tmp/shmesh-metrics.sock')
for (let i = 0; i < 100_000; i++) {
  metrics.add('requests')
  metrics.add('bytes', 64)
}
await metrics.close()
