/** `shmesh/http`: any node:http server through shared memory. */
export { type Attachment, type AttachOptions, attach } from './attach.ts'
