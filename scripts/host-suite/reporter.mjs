/** A reporter of node:test: one JSON line for each test without subtests, `{ name, error }`. */
export default async function* report(events) {
  /** Names of the tests under way, the outermost first. */
  const names = []
  for await (const { type, data } of events) {
    if (type === 'test:start') {
      names.length = data.nesting
      names.push(data.name)
    } else if (type === 'test:pass' || type === 'test:fail') {
      const error = data.details?.error
      // What failed inside of it has been told.
      if (error?.failureType === 'subtestsFailed') continue
      const name = [...names.slice(0, data.nesting), data.name].join(' > ')
      const skipped = data.skip !== undefined || data.todo !== undefined
      const failed = type === 'test:fail' && !skipped
      const reason = failed ? String(error?.cause?.stack ?? error?.cause ?? error) : undefined
      yield `${JSON.stringify({ name, skipped, error: reason })}\n`
    }
  }
}
