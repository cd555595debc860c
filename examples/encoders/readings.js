import avro from 'avsc'

/** What both sides speak: `{ sensor: 'roof', celsius: [20.5, …] }` as Avro. */
export const Readings = avro.Type.forSchema({
  type: 'record',
  name: 'Readings',
  fields: [
    { name: 'sensor', type: 'string' },
    { name: 'celsius', type: { type: 'array', items: 'double' } }
  ]
})
