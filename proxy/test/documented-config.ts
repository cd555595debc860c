/** The configuration of the reference page's first example. */
export const VALID = `
version: 1
admin:  http://127.0.0.1:9901
health: http://0.0.0.0:9902
listeners:
  - { name: inbound,  address: "http://0.0.0.0:8080",              routes: [ { match: { prefix: / }, cluster: app } ] }
  - { name: outbound, address: "shm:///run/shmesh/outbound.sock",  routes: [ { match: { host: orders.internal }, cluster: orders }, { match: { host: "*" }, cluster: passthrough } ] }
clusters:
  - { name: app,    endpoints: [ { address: "shm:///run/shmesh/app.sock" } ] }
  - { name: orders, endpoints: [ { address: "http://10.0.0.5:8080" } ], timeouts: { connect: 250ms, request: 5s } }
`
