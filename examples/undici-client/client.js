import { ShmAgent } from 'shmesh/undici'
import { request, setGlobalDispatcher } from 'undici'

const agent = new ShmAgent()
setGlobalDispatcher(agent)

const { statusCode, headers, body } = await request('http://app.internal/hello/memory')
console.log(statusCode, headers['x-shmesh-transport'], await body.json())
await agent.close()
