export { type ErrorCode, errorCatalogue } from './errors/error-catalogue'
export type { ErrorLabel } from './errors/error-label'
export { type ErrorDetails, ShardedError } from './errors/sharded-error'
