'use strict'

/**
 * require() of this package's ES modules, relative to this folder.
 *
 * Node does that by itself. Jest puts its own `require` in its place, which before Node 24.9 cannot;
 * but the class it gives out as `node:module` extends Node's own, and that one's createRequire can.
 * The package is then loaded outside Jest's registries, once per process, which is what a native
 * addon with open sessions needs.
 */
const Module = require('node:module')
const { createRequire } = Object.getPrototypeOf(Module).createRequire
  ? Object.getPrototypeOf(Module)
  : Module

module.exports = createRequire(__filename)
