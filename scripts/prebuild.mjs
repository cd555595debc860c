/**
 * Puts the built addon, stripped, where the package ships it: prebuilds/linux-<arch>[-musl]/shm.node.
 * Refuses one that needs a newer glibc or libstdc++ than the floor we state.
 */
import { copyFileSync, existsSync, mkdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { capture, fail, mustRun, ROOT, which } from './tools.mjs'

/** Symbol versions of the oldest systems a prebuilt addon claims to run on: RHEL 9, Debian 12. */
const FLOORS = { GLIBC: '2.34', GLIBCXX: '3.4.29', CXXABI: '1.3.13' }
const BUILT = join(ROOT, 'native/build/Release/shm.node')

function compareVersions(a, b) {
  const [left, right] = [a, b].map((version) => version.split('.').map(Number))
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

/** The highest version of each library the addon asks the dynamic linker for. */
function neededVersions(addon) {
  const highest = {}
  const text = mustRun('objdump', ['-p', addon])
  for (const [, library, version] of text.matchAll(/\b(GLIBC|GLIBCXX|CXXABI)_(\d[\d.]*)/g)) {
    if (compareVersions(version, highest[library] ?? '0') > 0) highest[library] = version
  }
  return highest
}

if (process.platform !== 'linux') {
  console.log(`prebuild: skipped on ${process.platform}`)
  process.exit(0)
}
if (!existsSync(BUILT)) fail(`prebuild: ${BUILT} is missing; run: npm run build:native`)

const isMusl = process.report.getReport().header.glibcVersionRuntime === undefined
const target = `linux-${process.arch}${isMusl ? '-musl' : ''}`
const addon = join(ROOT, 'prebuilds', target, 'shm.node')
mkdirSync(join(ROOT, 'prebuilds', target), { recursive: true })
copyFileSync(BUILT, addon)
if (which('strip') !== undefined) mustRun('strip', ['--strip-unneeded', addon])

let needs = 'symbol versions not checked: objdump is missing (apt-get install binutils)'
if (which('objdump') !== undefined) {
  const versions = Object.entries(neededVersions(addon))
  needs = `needs ${versions.map(([library, version]) => `${library}_${version}`).join(', ')}`
  for (const [library, version] of versions) {
    if (compareVersions(version, FLOORS[library]) > 0) {
      fail(
        `prebuild: ${needs}; the floor is ${library}_${FLOORS[library]}: build on an older system`
      )
    }
  }
}
const load = capture(process.execPath, ['-e', `require(${JSON.stringify(addon)})`])
if (!load.ok) fail(`prebuild: ${addon} does not load\n${load.output}`)
console.log(`prebuild: ${target}, ${Math.ceil(statSync(addon).size / 1024)} KiB, ${needs}`)
