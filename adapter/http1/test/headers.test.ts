import assert from 'node:assert/strict'
import { it } from 'node:test'
import {
  connectionOptions,
  HOP_BY_HOP,
  headerValue,
  isFieldValue,
  isToken,
  originForm
} from '../index.ts'

it('headerValue finds the first field of a name in any case', () => {
  const headers = ['X-A', '1', 'x-a', '2', '__proto__', '3', 'X', '']
  assert.equal(headerValue(headers, 'x-a'), '1')
  assert.equal(headerValue(headers, '__proto__'), '3')
  assert.equal(headerValue(headers, 'x'), '')
  assert.equal(headerValue(headers, 'constructor'), undefined)
  assert.equal(headerValue(['X\x0dA', '1'], 'x-a'), undefined)
})

it('connectionOptions gathers every option in lower case', () => {
  const headers = ['Connection', 'Keep-Alive, X-Secret ,,', 'other', 'z', 'CONNECTION', '\tTE']
  assert.deepEqual([...connectionOptions(headers)], ['keep-alive', 'x-secret', 'te'])
  assert.equal(connectionOptions([]).size, 0)
})

it('connectionOptions does not let a client strip what routes and delimits', () => {
  const headers = ['Connection', 'close, Host, Content-Length, Authorization']
  assert.deepEqual([...connectionOptions(headers)], ['close', 'authorization'])
})

it('HOP_BY_HOP names fields of one connection only', () => {
  assert.ok(HOP_BY_HOP.has('transfer-encoding'))
  assert.ok(HOP_BY_HOP.has('proxy-connection'))
  assert.ok(!HOP_BY_HOP.has('host'))
})

it('originForm gives what an origin server is asked for', () => {
  for (const [method, target, expected] of [
    ['GET', '/a?b', '/a?b'],
    ['GET', 'http://h/a?b', '/a?b'],
    ['GET', 'HTTPS://h:1/a', '/a'],
    ['GET', 'http://h', '/'],
    ['GET', 'http://h?b', '/?b'],
    ['GET', '//h/a', '//h/a'],
    ['GET', '/http://h/a', '/http://h/a'],
    ['OPTIONS', '*', '*'],
    ['OPTIONS', 'http://h', '*'],
    ['OPTIONS', 'http://h/', '/'],
    ['CONNECT', 'h:1', 'h:1']
  ] as const) {
    assert.equal(originForm(method, target), expected)
  }
})

it('isToken and isFieldValue judge single texts', () => {
  assert.ok(isToken('X-Request-Id'))
  for (const text of ['', 'a b', 'a:', 'a\n', '\u0141']) assert.ok(!isToken(text))
  for (const text of ['', 'a b\t\xff']) assert.ok(isFieldValue(text))
  for (const text of ['a\r', '\n', '\0', '\x7f', '\u010a']) assert.ok(!isFieldValue(text))
})
