/** Preloaded into every process of the demo: none outlives the one that started it. */
import process from 'node:process'

process.once('disconnect', () => process.exit(1))
// The listener alone would keep the process from ending by itself.
process.channel?.unref()
