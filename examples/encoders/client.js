import { ShmAgent } from 'shmesh/undici'
import { Readings } from './readings.js'

const agent = new ShmAgent(`shm://${process.env.SHMESH_DIR}/app.sock`)
for (const count of [10, 30_000, 200_000]) {
  const { body } = await agent.request({
    origin: 'http://app.internal',
    path: `/readings/${count}`,
    method: 'GET'
  })
  const bytes = Buffer.from(await body.arrayBuffer())
  const { sensor, celsius } = Readings.fromBuffer(bytes)
  console.log(
    `${sensor}: ${celsius.length} readings in ${bytes.length} bytes, last ${celsius.at(-1)}`
  )
}
await agent.close()
