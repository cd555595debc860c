import { Logger } from './log-sdk.js'

const log = await Logger.connect(process.env.SOCKET ?? '/tmp/shmesh-log.sock')
log.info('started', { pid: process.pid })
for (let i = 1; i <= 1000; i++) log.info('a request was answered', { request: i })
log.error('it is about to end')
await log.close()
