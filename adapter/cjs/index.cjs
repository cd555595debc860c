'use strict'

module.exports = require('./load.cjs')('../../dist/adapter/index.js')
