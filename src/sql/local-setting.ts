import { literal } from '../values/literal'
import { quoted } from '../values/quoted'
import { sessionText } from './session-text'

const blank = '(?:\\s|/\\*[\\s\\S]*?\\*/|--[^\\n]*\\n)'
const beginsSet = new RegExp(`^${blank}*SET${blank}+(?:SESSION${blank}+(?!AUTHORIZATION))?`, 'i')

/**
 * A SET or RESET as one that ends with its transaction; undefined where there is none such.
 *
 * @example localSetting('SET app.tenant = 5') // 'SET LOCAL app.tenant = 5'
 */
export function localSetting(text: string): string | undefined {
  const setting = settingOf(text)
  if (!setting || setting.isLocal) return setting && text
  const { name, resets } = setting
  // In a transaction it ends with that, if that is rolled back; else it leaves what a new session has.
  if (name === undefined) return 'RESET ALL'
  if (resets) return `SET LOCAL ${settingName(name)} TO DEFAULT`
  const local = text.replace(beginsSet, 'SET LOCAL ')
  const made = settingOf(local)
  return made?.isLocal && made.name === name ? local : undefined
}

/** A call of `set_config` as one that ends with its transaction. */
export const localConfig = (name: string, value: string | null): string =>
  `SELECT pg_catalog.set_config(${literal(name)}, ${value === null ? 'NULL' : literal(value)}, true)`

/** Each part of a name is quoted by itself: `"app"."tenant"`. */
const settingName = (name: string): string =>
  name === 'session_authorization' ? 'SESSION AUTHORIZATION' : name.split('.').map(quoted).join('.')

function settingOf(text: string) {
  const [part, another] = sessionText(text) ?? []
  const session = part?.session
  return session?.kind === 'setting' && !another ? session : undefined
}
