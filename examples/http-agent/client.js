import axios from 'axios'
import got from 'got'
import { ShmHttpAgent } from 'shmesh/http'

const agent = new ShmHttpAgent()
const url = 'http://app.internal/hello'

const viaAxios = await axios.get(`${url}/axios`, { httpAgent: agent, proxy: false })
console.log('axios', viaAxios.status, viaAxios.headers['x-shmesh-transport'], viaAxios.data)

const viaGot = await got(`${url}/got`, { agent: { http: agent }, responseType: 'json' })
console.log('got', viaGot.statusCode, viaGot.headers['x-shmesh-transport'], viaGot.body)
agent.destroy()
