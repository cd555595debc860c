/** `npm run bench:undici`: what a request costs client and app, over shared memory and a socket. */
import { runBench } from '../bench.ts'
import { describeMachine } from '../transport/report.ts'
import { type Cell, type Plan, plan } from './cells.ts'
import { type Measurement, measureAll, Pairs } from './measure.ts'

const HELP = `The same requests to the same Fastify app twice: ShmAgent to the plugin, undici's Pool to node:http
over a Unix socket. CPU per request of either process; "part" is the median of the paired rounds'
ratios.`

function report({ rounds, roundMs }: Plan, measurements: readonly Measurement[]): string {
  return [
    `${describeMachine()}; ${rounds} pairs of rounds of ${roundMs} ms or more.`,
    'CPU per request, client + app, µs; parts: medians of the paired ratios. Time: median of a request.',
    '',
    '| request | shm | Unix socket | client | client + app | time | target | verdict |',
    '| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |',
    ...measurements.map(row)
  ].join('\n')
}

function row({ cell, costs, client, both, time, met }: Measurement): string {
  const { target, timeTarget } = cell
  return `| ${[
    cell.title,
    `${costs.shm.client.toFixed(1)} + ${costs.shm.app.toFixed(1)}`,
    `${costs.socket.client.toFixed(1)} + ${costs.socket.app.toFixed(1)}`,
    client.toFixed(2),
    both.toFixed(2),
    time.toFixed(2),
    target?.toFixed(2) ?? (timeTarget === undefined ? '' : `time ${timeTarget.toFixed(2)}`),
    met === undefined ? '' : met ? 'met' : 'MISSED'
  ].join(' | ')} |`
}

await runBench<Cell, Plan, Measurement>({
  name: 'undici',
  heading: 'What a request costs client and app',
  help: HELP,
  plan,
  titleOf: ({ title }) => title,
  async measure(chosen, workspace, progress) {
    const pairs = await Pairs.start(workspace)
    return { measurements: await measureAll(chosen, pairs, progress), problems: [] }
  },
  report
})
