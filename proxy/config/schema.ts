/**
 * The shape of the configuration file as a JSON Schema (draft 7): printed by `shmesh proxy
 * --schema`, published as `shmesh/schema.json`. What a schema cannot say (units, addresses,
 * references) is checked in resolve.ts; docs/reference/proxy-config.md says what each key is for.
 */
import { clusterSchema } from './schema-cluster.ts'
import { listenerSchema } from './schema-listener.ts'
import { ADDRESS, duration, flag, list, mapping, NAME, share } from './schema-parts.ts'

export const configSchema: Readonly<Record<string, unknown>> = {
  $schema: 'http://json-schema.org/draft-07/schema#',
  title: 'shmesh proxy configuration',
  ...mapping(
    {
      $schema: { type: 'string', description: 'Where editors find this schema.' },
      version: { const: 1 },
      admin: { ...ADDRESS, description: 'http:// or unix://. Shows everything: loopback.' },
      health: { ...ADDRESS, description: 'http:// or unix://. /ready, /live and /metrics only.' },
      accessLog: {
        type: ['boolean', 'object'],
        title: 'accessLog',
        description: 'One line per request. Default false.',
        additionalProperties: false,
        properties: {
          format: {
            type: 'string',
            minLength: 1,
            description: 'json, common, combined, shmesh, or text with %{NAME} in it.'
          },
          file: { type: 'string', pattern: '^/', title: 'path', description: 'Default stdout.' },
          sample: share('Of the requests without a failure. Default 100%.')
        }
      },
      tracing: {
        type: ['boolean', 'object'],
        title: 'tracing',
        description: 'A span per request. Default false.',
        additionalProperties: false,
        properties: { sample: share('Of the traces that begin here. Default 100%.') }
      },
      transportHeader: flag('Answers carry x-shmesh-transport. Default false.'),
      drainTimeout: duration('How long SIGTERM waits for running requests. Default 10s.'),
      drainDelay: duration('How long requests are taken while /ready says 503. Default 0s.'),
      readyClusters: list(NAME, 'Clusters without which the proxy is not ready.', 0),
      passthrough: mapping({
        deny: list(
          { type: 'string', title: 'network' },
          'Networks the cluster passthrough never connects to, such as 169.254.0.0/16.'
        )
      }),
      listeners: list(listenerSchema, 'Where requests come from.'),
      clusters: list(clusterSchema, 'Where they go.', 0)
    },
    { required: ['version', 'listeners', 'clusters'] }
  )
}
