import type { DataSource } from 'typeorm'
import { PostgresDriver } from 'typeorm/driver/postgres/PostgresDriver'

/** The driver of a data source of ours: TypeORM's for PostgreSQL, over a façade of `pg`. */
export function postgresDriver({ driver }: Pick<DataSource, 'driver'>): PostgresDriver {
  if (driver instanceof PostgresDriver) return driver
  throw new RangeError(`The driver is a ${driver.constructor.name}, not TypeORM's PostgresDriver.`)
}
