import type { ConfigCall, GivenValue } from '../../sql/config-call'
import { localConfig } from '../../sql/local-setting'
import type { HeldSetting } from '../../transactions/session-script'
import { isExactChange } from '../../values/exact-setting'
import { literal } from '../../values/literal'
import { parameterText } from '../../values/parameter-text'

/** A call of `set_config` with its arguments. */
export interface ResolvedConfig {
  readonly output: string
  readonly name: string
  /** Null gives the setting back what a new session has. */
  readonly value: string | null
  readonly isLocal: boolean
}

/** The calls with their parameters; undefined where an argument is an expression, or none that PostgreSQL would take. */
export function resolveConfig(
  calls: readonly ConfigCall[],
  parameters: readonly unknown[],
): readonly ResolvedConfig[] | undefined {
  const resolved = calls.map(({ output, name, value, isLocal }) => {
    const nameText = textOf(name, parameters)
    const valueText = textOf(value, parameters)
    const local = booleanOf(textOf(isLocal, parameters))
    if (!nameText || valueText === undefined || local === undefined) return undefined
    return { output, name: nameText.toLowerCase(), value: valueText, isLocal: local }
  })
  return resolved.every((one) => one !== undefined) ? resolved : undefined
}

function textOf(given: GivenValue | undefined, parameters: readonly unknown[]): string | null | undefined {
  if (!given) return undefined
  if (given.kind === 'constant') return given.value
  const text = given.number <= parameters.length ? parameterText(parameters[given.number - 1]) : undefined
  return Buffer.isBuffer(text) ? undefined : text
}

/** As PostgreSQL reads a boolean. */
function booleanOf(text: string | null | undefined): boolean | undefined {
  if (text === null || text === undefined) return undefined
  const word = text.trim().toLowerCase()
  if (['t', 'tr', 'tru', 'true', 'y', 'ye', 'yes', 'on', '1'].includes(word)) return true
  return ['f', 'fa', 'fal', 'fals', 'false', 'n', 'no', 'of', 'off', '0'].includes(word) ? false : undefined
}

/** What is to be held of such a call. */
export const settingOfConfig = ({ name, value, isLocal }: ResolvedConfig): HeldSetting =>
  Object.freeze({
    text: `SELECT pg_catalog.set_config(${literal(name)}, ${value === null ? 'NULL' : literal(value)}, ${isLocal})`,
    localText: localConfig(name, value),
    names: [name],
    resets: value === null,
    isOfSession: !isLocal,
    isExact: value === null || isExactChange(name, value),
    isMode: false,
  })

/** What the calls return: the row of PostgreSQL, which has the last of columns of one name. */
export const rowOfConfig = (calls: readonly ResolvedConfig[]): Readonly<Record<string, string | null>> =>
  Object.fromEntries(calls.map(({ output, value }) => [output, value]))
