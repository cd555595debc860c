/** Made of schema.ts by scripts/compile-schema.mjs. */
import type { ValidateFunction } from 'ajv'

declare const validate: ValidateFunction
export = validate
