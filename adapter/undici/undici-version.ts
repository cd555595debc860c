/** Which undici the user has, told by what it exports: its version is not among that. */
import * as undici from 'undici'

export const IS_UNDICI_6: boolean = !('cacheStores' in undici)
export const IS_UNDICI_8: boolean = 'Dispatcher1Wrapper' in undici
