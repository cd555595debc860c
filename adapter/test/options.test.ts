import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  DEFAULT_MEMORY_BYTES,
  DEFAULT_WINDOW_BYTES,
  MAX_MEMORY_BYTES,
  MIN_MEMORY_BYTES,
  parseDuration,
  parseMemory,
  parseSize,
  parseWindow
} from '../options.ts'

describe('parseDuration', () => {
  it('gives milliseconds', () => {
    assert.equal(parseDuration('timeout', '250ms'), 250)
    assert.equal(parseDuration('timeout', '5s'), 5000)
    assert.equal(parseDuration('timeout', '1.5s'), 1500)
    assert.equal(parseDuration('timeout', '2m'), 120_000)
    assert.equal(parseDuration('timeout', '1h'), 3_600_000)
    assert.equal(parseDuration('timeout', '0ms'), 0)
  })

  it('names the option, what it wants and what it got', () => {
    assert.throws(() => parseDuration('timeouts.connect', '250'), {
      name: 'InvalidArgumentError',
      code: 'SHM_ERR_INVALID_ARG',
      message:
        "timeouts.connect must be a duration with its unit, such as '250ms', '5s', '2m' or '1h', " +
        'got "250"'
    })
  })

  it('refuses bare numbers, other units and noise', () => {
    const bad = [
      5,
      '',
      '5',
      's',
      '-5s',
      '+5s',
      '1e3ms',
      '5S',
      '5sec',
      '5d',
      ' 5s',
      '5s ',
      '.5s',
      null
    ]
    for (const value of bad) {
      assert.throws(() => parseDuration('timeout', value as string), {
        code: 'SHM_ERR_INVALID_ARG'
      })
    }
  })

  it('refuses what a timer cannot hold', () => {
    assert.equal(parseDuration('timeout', '596h'), 2_145_600_000)
    for (const value of ['597h', '2147483648ms', '0.5ms', `${'9'.repeat(400)}h`]) {
      assert.throws(() => parseDuration('timeout', value), { code: 'SHM_ERR_INVALID_ARG' })
    }
  })
})

describe('parseSize', () => {
  it('gives bytes', () => {
    assert.equal(parseSize('size', '512B'), 512)
    assert.equal(parseSize('size', '64KiB'), 65_536)
    assert.equal(parseSize('size', '0.5MiB'), 524_288)
    assert.equal(parseSize('size', '1GiB'), 1_073_741_824)
  })

  it('refuses decimal units and says the binary one', () => {
    for (const [value, hint] of Object.entries({
      '64KB': '64KiB',
      '64k': '64KiB',
      '2mb': '2MiB'
    })) {
      assert.throws(() => parseSize('memory', value), {
        code: 'SHM_ERR_INVALID_ARG',
        message: new RegExp(`did you mean '${hint}'\\?`)
      })
    }
  })

  it('refuses bare numbers, parts of a byte and noise', () => {
    const bad = [
      64,
      '64',
      '',
      'MiB',
      '-1MiB',
      '0.5B',
      '1e3KiB',
      '64 MiB B',
      '64Mib',
      '9'.repeat(99)
    ]
    for (const value of bad) {
      assert.throws(() => parseSize('size', value as string), { code: 'SHM_ERR_INVALID_ARG' })
    }
  })
})

describe('parseMemory', () => {
  it('has a default and both ends of its range', () => {
    assert.equal(parseMemory('memory', undefined), DEFAULT_MEMORY_BYTES)
    assert.equal(parseMemory('memory', '1MiB'), MIN_MEMORY_BYTES)
    assert.equal(parseMemory('memory', '3GiB'), MAX_MEMORY_BYTES)
  })

  it('refuses none and absurd', () => {
    for (const value of ['0B', '0MiB', '1023KiB', '3.5GiB', '4096GiB']) {
      assert.throws(() => parseMemory('memory', value), {
        code: 'SHM_ERR_INVALID_ARG',
        message: /memory must be between '1MiB' and '3GiB'/
      })
    }
  })
})

describe('parseWindow', () => {
  it('has a default, and takes what credit can count', () => {
    assert.equal(parseWindow('window', undefined), DEFAULT_WINDOW_BYTES)
    assert.equal(parseWindow('window', '4KiB'), 4096)
    assert.equal(parseWindow('window', '1GiB'), 1024 ** 3)
  })

  it('refuses windows that are none', () => {
    for (const value of ['4095B', '1.1GiB', '0B']) {
      assert.throws(() => parseWindow('window', value), { code: 'SHM_ERR_INVALID_ARG' })
    }
  })
})
