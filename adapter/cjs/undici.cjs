'use strict'

module.exports = require('./load.cjs')('../../dist/adapter/undici/index.js')
