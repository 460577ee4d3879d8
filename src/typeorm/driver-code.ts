import type { QueryFailedError } from 'typeorm'

/** PostgreSQL's code of an error. */
export const driverCode = (error: QueryFailedError): string | undefined =>
  (error.driverError as { readonly code?: string }).code
