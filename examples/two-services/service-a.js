import { randomBytes } from 'node:crypto'
import { ShmAgent } from 'shmesh/undici'
import { setGlobalDispatcher } from 'undici'

const agent = new ShmAgent({ uri: `shm://${process.env.SHMESH_DIR}/a-outbound.sock` })
setGlobalDispatcher(agent)

// What OpenTelemetry's instrumentation of fetch does for you.
const traceId = randomBytes(16).toString('hex')
const traceparent = `00-${traceId}-${randomBytes(8).toString('hex')}-01`

const response = await fetch('http://b.mesh/greeting/a', { headers: { traceparent } })
const log = { service: 'a', traceId, status: response.status, body: await response.text() }
console.log(JSON.stringify(log))
await agent.close()
