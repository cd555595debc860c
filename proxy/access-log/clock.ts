/** Dates as logs write them, put together once per second. */
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

let second = -1
let common = ''

/** `21/Nov/2026:12:38:37 +0000` */
export function commonDate(now: number): string {
  const current = Math.floor(now / 1000)
  if (current !== second) {
    second = current
    const [year, month, day] = new Date(now).toISOString().slice(0, 10).split('-')
    const clock = new Date(now).toISOString().slice(11, 19)
    common = `${day}/${MONTHS[Number(month) - 1]}/${year}:${clock} +0000`
  }
  return common
}
