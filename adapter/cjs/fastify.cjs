'use strict'

module.exports = require('./load.cjs')('../../dist/adapter/fastify/index.js')
