'use strict'

module.exports = require('./load.cjs')('../../dist/adapter/http/index.js')
