/** `npm run bench:fastify`: what a request costs the app, over shared memory and a Unix socket. */
import { runBench } from '../bench.ts'
import { describeMachine } from '../transport/report.ts'
import { type Cell, type Plan, plan } from './cells.ts'
import { Apps, type Measurement, measureAll } from './measure.ts'

const HELP = `The same Fastify app twice: over shared memory with the plugin, over a Unix socket with node:http.
CPU is that of the app's process alone, per request; "part" is the median of the paired rounds'
ratios.`

function report({ rounds, roundMs }: Plan, measurements: readonly Measurement[]): string {
  return [
    `${describeMachine()}; ${rounds} pairs of rounds of ${roundMs} ms or more.`,
    'CPU of the app per request, µs; `part`: median of the paired ratios, with quartiles.',
    '',
    '| request | shm | Unix socket | part | quartiles | target | verdict |',
    '| --- | ---: | ---: | ---: | ---: | ---: | ---: |',
    ...measurements.map(row)
  ].join('\n')
}

function row(m: Measurement): string {
  return `| ${[
    m.title,
    m.shmMicroseconds.toFixed(2),
    m.socketMicroseconds.toFixed(2),
    m.ratio.toFixed(2),
    `${m.ratioLow.toFixed(2)}-${m.ratioHigh.toFixed(2)}`,
    m.target.toFixed(2),
    m.met ? 'met' : 'MISSED'
  ].join(' | ')} |`
}

await runBench<Cell, Plan, Measurement>({
  name: 'fastify',
  heading: 'What a request costs the app',
  help: HELP,
  plan,
  titleOf: ({ title }) => title,
  async measure(chosen, workspace, progress) {
    const apps = await Apps.start(workspace)
    const measurements = await measureAll(chosen, apps, progress)
    return { measurements, problems: await apps.close() }
  },
  report
})
