import process from 'node:process'

/** What a child process offers its test. */
// biome-ignore lint/suspicious/noExplicitAny: each method has parameters of its own
export type Methods = Record<string, (...args: any[]) => unknown>

export interface Call {
  readonly id: number
  readonly method: string
  readonly args: readonly unknown[]
}

export interface Answer {
  readonly id: number
  readonly result?: unknown
  readonly error?: { readonly message: string; readonly code?: string | undefined } | undefined
}

/** Serves the calls of the test that started this process, which ends with it. */
export function serveCalls(methods: Methods): void {
  process.on('message', async ({ id, method, args }: Call) => {
    const answer = await run(methods, method, args)
    process.send?.({ id, ...answer })
  })
  process.on('disconnect', () => process.exit())
  process.send?.('ready')
}

async function run(
  methods: Methods,
  method: string,
  args: readonly unknown[]
): Promise<Omit<Answer, 'id'>> {
  try {
    return { result: await methods[method]!(...args) }
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException
    return { error: { message, code } }
  }
}
