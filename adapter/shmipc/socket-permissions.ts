/** Who may open a socket: its permission bits and its group. */
import { readFileSync } from 'node:fs'
import { InvalidArgumentError } from '../errors.ts'

/**
 * Permission bits of a socket file.
 *
 * @throws {InvalidArgumentError} for anything else, such as the decimal 600 of a YAML file
 */
export function checkMode(mode: number): number {
  if (!Number.isInteger(mode) || mode < 0 || mode > 0o777) {
    throw new InvalidArgumentError('mode', 'permission bits from 0o000 to 0o777 (octal)', mode)
  }
  return mode
}

/**
 * A group by gid, or by its name in /etc/group.
 *
 * @throws {InvalidArgumentError} when no such group is known
 */
export function resolveGroup(group: string | number): number {
  if (typeof group === 'number') {
    if (Number.isInteger(group) && group >= 0 && group < 0xffff_ffff) return group
  } else {
    const line = readGroups().find((entry) => entry.startsWith(`${group}:`))
    const gid = Number.parseInt(line?.split(':')[2] ?? '', 10)
    if (group !== '' && Number.isInteger(gid)) return gid
  }
  throw new InvalidArgumentError('group', 'a gid or the name of a group in /etc/group', group)
}

function readGroups(): string[] {
  try {
    return readFileSync('/etc/group', 'utf8').split('\n')
  } catch {
    return []
  }
}
