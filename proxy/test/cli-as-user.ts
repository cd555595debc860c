/** `shmesh` as another user, for tests that root runs: the uid comes before the command. */
import process from 'node:process'

process.setuid!(Number(process.argv.splice(2, 1)[0]))
await import('../cli.ts')
